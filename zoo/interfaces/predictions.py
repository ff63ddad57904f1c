"""Predictions: a task's answers to single inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Prediction:
    """A task's answer to one input. Subclasses say what it is.

    ``dataclasses.asdict`` is what ``zoo predict --json`` prints, ``str`` what it prints
    otherwise.

    Args:
        text: The input.
    """

    text: str

    def columns(self) -> tuple[str, ...]:
        """Return what is printed before the input, one string a column."""
        return ()

    def __str__(self) -> str:
        return "\t".join((*self.columns(), " ".join(self.text.splitlines())))


@dataclass(frozen=True, slots=True)
class LabelPrediction(Prediction):
    """A label.

    Args:
        label: The predicted label.
        probability: Its probability.
        scores: The probability of every label.
    """

    label: str
    probability: float
    scores: Mapping[str, float] = field(default_factory=dict)

    def columns(self) -> tuple[str, ...]:
        return self.label, f"{self.probability:.4f}"


@dataclass(frozen=True, slots=True)
class TagsPrediction(Prediction):
    """A tag for every step of the input.

    Args:
        tags: The tags.
        probability: The probability of all of them together.
    """

    tags: tuple[str, ...]
    probability: float

    def columns(self) -> tuple[str, ...]:
        return " ".join(self.tags), f"{self.probability:.4f}"


@dataclass(frozen=True, slots=True)
class TextPrediction(Prediction):
    """A text, such as a translation.

    Args:
        output: The text.
        probability: Its probability.
    """

    output: str
    probability: float

    def columns(self) -> tuple[str, ...]:
        return self.output, f"{self.probability:.4f}"


@dataclass(frozen=True, slots=True)
class ValuesPrediction(Prediction):
    """Numbers, such as the next values of a series.

    Args:
        values: The numbers.
    """

    values: tuple[float, ...]

    def columns(self) -> tuple[str, ...]:
        return (" ".join(f"{value:.6g}" for value in self.values),)


@runtime_checkable
class HasKnown(Protocol):
    """A prediction that says how much of its input the training knew.

    Attributes:
        known: Share of the tokens, from 0 to 1. 0: the answer says nothing about the input. It is
            what the training had most often, or the answer to as many unknown tokens.
    """

    known: float


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong prediction beside what the data says.

    Args:
        prediction: The prediction.
        target: What would have been right, as text.
    """

    prediction: Prediction
    target: str
