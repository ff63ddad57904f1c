"""What the text tasks answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zoo.interfaces import LabelPrediction, Prediction, ValuesPrediction


@dataclass(frozen=True, slots=True)
class TextLabelPrediction(LabelPrediction):
    """A label of a text.

    Args:
        known: Share of the text's tokens of which the training knew any part. 0: the answer is
            the commonest label, and the probabilities are shares of labels in the training; with
            ``tokens=words`` it is the answer to as many unknown words.
    """

    known: float = 1.0


@dataclass(frozen=True, slots=True)
class TextLabelsPrediction(Prediction):
    """Any number of labels of a text.

    Args:
        labels: The predicted labels, likeliest first.
        scores: The probability of every label.
        known: As of :class:`TextLabelPrediction`.
    """

    labels: tuple[str, ...]
    scores: Mapping[str, float] = field(default_factory=dict)
    known: float = 1.0

    def columns(self) -> tuple[str, ...]:
        return ("|".join(self.labels),)


@dataclass(frozen=True, slots=True)
class TextValuePrediction(ValuesPrediction):
    """A number for a text.

    Args:
        known: As of :class:`TextLabelPrediction`; 0: the answer is the mean of the training.
    """

    known: float = 1.0
