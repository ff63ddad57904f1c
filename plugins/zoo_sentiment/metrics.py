"""Metrics of a classifier, from its logits and from its confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.interfaces import Batch, Metrics, MetricSums, Step
from zoo.intervals import wilson

if TYPE_CHECKING:
    from zoo_sentiment.task import Sentiment


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the loss (B,) of logits (B, 1) of the second label, or (B, K) of all of them."""
    if logits.shape[1] == 1:
        return nn.functional.binary_cross_entropy_with_logits(
            logits[:, 0], targets.to(logits.dtype), reduction="none"
        )
    return nn.functional.cross_entropy(logits, targets, reduction="none")


def predicted_labels(logits: Tensor) -> Tensor:
    """Return the index of the likeliest label (B,), for logits (B, 1) or (B, K)."""
    return (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)


def confusion_matrix(targets: Tensor, predicted: Tensor, num_labels: int) -> Tensor:
    """Return counts (K, K): of each true label (row), how often each label was predicted."""
    pairs = torch.bincount(targets * num_labels + predicted, minlength=num_labels * num_labels)
    return pairs.view(num_labels, num_labels)


def compute_metrics(metric_sums: MetricSums, labels: Sequence[str]) -> Metrics:
    """Return accuracy with its interval, the majority baseline, loss, F1 and confusion matrix.

    F1 is that of the last label where there are two, else the mean over labels.
    """
    confusion = metric_sums["confusion"]
    examples = float(confusion.sum())
    hits = float(confusion.diag().sum())
    low, high = wilson(hits, examples)
    f1 = 2 * confusion.diag() / (confusion.sum(0) + confusion.sum(1)).clamp(min=1)
    return {
        "examples": int(examples),
        "accuracy": hits / examples,
        "accuracy_low": low,
        "accuracy_high": high,
        "baseline": float(confusion.sum(1).max()) / examples,
        "loss": float(metric_sums["loss"]) / examples,
        "f1": float(f1[-1] if len(labels) == 2 else f1.mean()),
        "confusion": {
            "rows": list(labels),
            "columns": list(labels),
            "values": confusion.long().tolist(),
            "note": "rows: true, columns: predicted",
        },
    }


class Matthews:
    """Matthews correlation coefficient: the correlation of true and predicted labels.

    It is 1 where all predictions are right and 0 where they are independent of the true labels,
    however unequal the classes are; 0 also where only one label occurs or is predicted. Source:
    B. Matthews, Biochim. Biophys. Acta 405 (1975); for more than two labels J. Gorodkin, Comput.
    Biol. Chem. 28 (2004).

    Args:
        task: The task whose logits and targets are compared.
    """

    def __init__(self, task: Sentiment) -> None:
        self._num_labels = len(task.labels)
        self._confusion = torch.zeros(self._num_labels, self._num_labels, dtype=torch.int64)

    def update(self, batch: Batch, step: Step) -> None:
        """Add a batch; ``step.outputs`` are the logits."""
        assert step.outputs is not None
        predicted = predicted_labels(step.outputs)
        counts = confusion_matrix(batch.targets, predicted, self._num_labels)
        self._confusion = counts + self._confusion.to(counts.device)

    def compute(self) -> dict[str, float]:
        """Return the coefficient as ``matthews``."""
        confusion = self._confusion.cpu().double()
        true, predicted = confusion.sum(1), confusion.sum(0)
        total = confusion.sum()
        covariance = float(total * confusion.trace() - true @ predicted)
        variances = float((total**2 - true @ true) * (total**2 - predicted @ predicted))
        return {"matthews": covariance / math.sqrt(variances) if variances > 0 else 0.0}
