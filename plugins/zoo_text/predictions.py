"""What the text tasks answer. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from zoo.errors import WeightsError
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


def of_labels(
    texts: Sequence[str],
    labels: Sequence[str],
    best: Sequence[str],
    probabilities: Iterable[Sequence[float]],
    known: Iterable[float],
) -> list[TextLabelPrediction]:
    """Return predictions of M texts.

    Args:
        texts: The texts.
        labels: The K labels.
        best: The predicted label of each text.
        probabilities: (M, K).
        known: (M,).
    """
    scores = [dict(zip(labels, row, strict=True)) for row in probabilities]
    return [
        TextLabelPrediction(text, label, row[label], row, round(float(share), 4))
        for text, label, row, share in zip(texts, best, scores, known, strict=True)
    ]


def of_label_sets(
    texts: Sequence[str],
    labels: Sequence[str],
    probabilities: Iterable[Sequence[float]],
    threshold: float,
    known: Iterable[float],
) -> list[TextLabelsPrediction]:
    """Return predictions of M texts; labels above the threshold are predicted."""
    found = []
    for text, row, share in zip(texts, probabilities, known, strict=True):
        ranked = sorted(zip(row, labels, strict=True), reverse=True)
        chosen = tuple(label for score, label in ranked if score > threshold)
        scores = dict(zip(labels, row, strict=True))
        found.append(TextLabelsPrediction(text, chosen, scores, round(float(share), 4)))
    return found


def of_numbers(
    texts: Sequence[str], values: Iterable[float], known: Iterable[float]
) -> list[TextValuePrediction]:
    """Return predictions of M texts."""
    return [
        TextValuePrediction(text, (value,), round(float(share), 4))
        for text, value, share in zip(texts, values, known, strict=True)
    ]


def not_finite() -> WeightsError:
    """Return the error for outputs that no answer can be made of."""
    return WeightsError(
        "the network answers with numbers that are not finite",
        why="its weights are not, or have grown without bounds",
        fix="train again, with a lower learning rate",
    )
