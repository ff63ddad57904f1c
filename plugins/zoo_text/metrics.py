"""Metrics of a classifier of texts, computed over a whole split; and what all metrics share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.interfaces import Batch, Metrics, Step
from zoo.intervals import wilson
from zoo_text.collecting import Collector

Array = npt.NDArray[Any]

MAX_LABELS = 20
"""With more labels than these, tables have the worst rows alone, so that they stay small."""

WORST = 10
NAME_LENGTH = 30
CALIBRATION_BINS = 15
MAX_AREA_SCORES = 1_000_000
"""Areas under curves sort the scores of every label; of more scores than these there are none."""


def all_logits(logits: Tensor) -> Tensor:
    """Return logits (N, K) of every label; logits (N, 1) are those of the second of two."""
    if logits.shape[1] == 1:
        return torch.cat((torch.zeros_like(logits), logits), dim=1)
    return logits


def predicted_classes(logits: Tensor, threshold: float = 0.5) -> Tensor:
    """Return the index of the predicted label (N,).

    Args:
        logits: (N, K), or (N, 1) of the second of two labels.
        threshold: With two labels the second one is predicted where its probability is above it.
    """
    logits = all_logits(logits)
    if logits.shape[1] == 2 and threshold != 0.5:
        return (logits.softmax(1)[:, 1] > threshold).long()
    return logits.argmax(1)


class ClassificationMetrics:
    """Metrics of texts that have one label each.

    Args:
        labels: The labels (K).
        majority: Index of the commonest label of the training; None: of what is evaluated.
        threshold: With two labels the second one is predicted where its probability is above it.
        baseline_threshold: The same for the linear baseline.
        positive: With two labels, the index of the one whose F1 and average precision are given.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        majority: int | None = None,
        threshold: float = 0.5,
        baseline_threshold: float = 0.5,
        positive: int = 1,
    ) -> None:
        self._labels = labels
        self._majority = majority
        self._positive = positive
        self._threshold = threshold
        self._baseline_threshold = baseline_threshold
        self._collected = Collector()

    def update(self, batch: Batch, step: Step) -> None:
        """Add a batch.

        Args:
            batch: Its targets (B,) are indexes of labels.
            step: ``outputs`` are logits (B, K), or (B, 1) of the second of two labels;
                ``baseline_outputs`` the same of a linear baseline.
        """
        self._collected.update(batch, step)

    def compute(self) -> Metrics:
        """Return the metrics by name.

        With two labels ``f1`` and ``pr_auc`` are those of the positive one, which ``f1_label`` and
        ``pr_auc_label`` name. ``f1_macro`` is the mean over labels that occur or are predicted,
        ``balanced_accuracy`` the mean recall of labels that occur. The areas under the receiver
        operating curve (``roc_auc``, of two labels the same for both) and under the
        precision-recall curve (``pr_auc``, average precision) are means over labels that occur,
        each against the rest, where there are more than two: ``roc_auc_macro``, ``pr_auc_macro``.
        They are left out where only one label occurs, and where texts times labels are more than a
        million, which would take too long.
        """
        from sklearn.metrics import precision_recall_fscore_support

        logits = all_logits(self._collected.outputs())
        targets = self._collected.targets().long().numpy()
        predicted = predicted_classes(logits, self._threshold).numpy()
        count, examples = len(self._labels), len(targets)
        hits = int((predicted == targets).sum())
        low, high = wilson(hits, examples)
        precision, recall, f1, support = precision_recall_fscore_support(
            targets, predicted, labels=np.arange(count), zero_division=0
        )
        occurring = support > 0
        seen = occurring | (np.bincount(predicted, minlength=count) > 0)
        shares = logits.double().softmax(1).numpy()
        return {
            "accuracy": hits / examples,
            "accuracy_low": low,
            "accuracy_high": high,
            "baselines": self._baselines(targets),
            **self._positive_f1(f1),
            "f1_macro": float(f1[seen].mean()),
            "f1_weighted": float(np.average(f1, weights=support)),
            "balanced_accuracy": float(recall[occurring].mean()),
            "matthews": _matthews(targets, predicted),
            **self._areas(shares, targets),
            **_calibration_error(shares, targets),
            "per_class": per_class_table(self._labels, precision, recall, f1, support),
            "confusion": confusion_table(self._labels, targets, predicted),
        }

    def _baselines(self, targets: Array) -> dict[str, float]:
        majority = self._majority
        if majority is None:
            majority = int(np.bincount(targets).argmax())
        baselines = {"majority": float((targets == majority).mean())}
        if (logits := self._collected.baseline()) is not None:
            linear = predicted_classes(logits, self._baseline_threshold).numpy()
            baselines["linear"] = float((linear == targets).mean())
        return baselines

    def _positive_f1(self, f1: Array) -> Metrics:
        if len(self._labels) != 2:
            return {}
        positive = self._positive
        return {"f1": float(f1[positive]), "f1_label": self._labels[positive]}

    def _areas(self, shares: Array, targets: Array) -> Metrics:
        """Return areas under curves of probabilities (N, K)."""
        occurring = np.unique(targets)
        many = shares.shape[1] > 2 and shares.size > MAX_AREA_SCORES
        if len(occurring) < 2 or many or not np.isfinite(shares).all():
            return {}
        from sklearn.metrics import average_precision_score, roc_auc_score

        if shares.shape[1] == 2:
            truth, scores = targets == self._positive, shares[:, self._positive]
            return {
                "roc_auc": float(roc_auc_score(truth, scores)),
                "pr_auc": float(average_precision_score(truth, scores)),
                "pr_auc_label": self._labels[self._positive],
            }
        truth, scores = targets[:, None] == occurring, shares[:, occurring]
        return {
            "roc_auc_macro": float(roc_auc_score(truth, scores, average="macro")),
            "pr_auc_macro": float(average_precision_score(truth, scores, average="macro")),
        }


def _matthews(targets: Array, predicted: Array) -> float:
    """Return the correlation coefficient; 0 where all texts have and get the same label."""
    if len(np.union1d(targets, predicted)) == 1:
        return 0.0  # scikit-learn says so, too, and warns.
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(targets, predicted))


def _calibration_error(shares: Array, targets: Array) -> dict[str, float]:
    """Return the expected calibration error of probabilities (N, K) as ``ece``.

    It is the mean distance of the probability of the likeliest label from how often that label is
    right, over bins of equal width, weighted by their texts. Source: C. Guo et al., On Calibration
    of Modern Neural Networks, ICML 2017, equation 3.
    """
    if not np.isfinite(shares).all():
        return {}
    return {"ece": calibration_error(shares.max(1), shares.argmax(1) == targets)}


def calibration_error(probabilities: Array, right: Array) -> float:
    """Return the mean distance of probabilities (N,) from how often they are right, over bins."""
    bins = np.ceil(probabilities * CALIBRATION_BINS).astype(int) - 1
    # |sum of differences| of a bin is its number of texts times |accuracy - confidence|.
    differences = np.bincount(np.clip(bins, 0, CALIBRATION_BINS - 1), weights=right - probabilities)
    return float(np.abs(differences).sum() / len(probabilities))


def short_name(name: str) -> str:
    """Return the name of a label, cut for a table."""
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"


def per_class_table(
    labels: Sequence[str], precision: Array, recall: Array, f1: Array, support: Array
) -> dict[str, Any]:
    """Return a table of scores of labels, each (K,): of the worst by F1 where there are many."""
    rows = np.arange(len(labels))
    note = ""
    if len(labels) > MAX_LABELS:
        occurring = rows[support > 0]
        # Of equally bad ones those with most texts.
        rows = occurring[np.lexsort((-support[occurring], f1[occurring]))][:WORST]
        note = f"the {len(rows)} worst of {len(labels)} by F1"
    scores = zip(precision[rows], recall[rows], f1[rows], support[rows], strict=True)
    return {
        "rows": [short_name(labels[int(row)]) for row in rows],
        "columns": ["precision", "recall", "f1", "support"],
        "values": [[*(round(float(x), 4) for x in ratios), int(n)] for *ratios, n in scores],
        "note": note,
    }


def confusion_table(labels: Sequence[str], targets: Array, predicted: Array) -> dict[str, Any]:
    """Return the confusion matrix; the commonest confusions where there are many labels."""
    if len(labels) <= MAX_LABELS:
        from sklearn.metrics import confusion_matrix

        names = [short_name(label) for label in labels]
        values = confusion_matrix(targets, predicted, labels=np.arange(len(labels))).tolist()
        note = "rows: true, columns: predicted"
        return {"rows": names, "columns": names, "values": values, "note": note}
    wrong = targets != predicted
    pairs, counts = np.unique(
        np.stack([targets[wrong], predicted[wrong]], axis=1), axis=0, return_counts=True
    )
    worst = np.argsort(-counts, kind="stable")[:WORST]
    return {
        "rows": [" -> ".join(short_name(labels[int(i)]) for i in pair) for pair in pairs[worst]],
        "columns": ["count"],
        "values": [[int(count)] for count in counts[worst]],
        "note": f"true -> predicted, the {len(worst)} commonest of {len(pairs)}",
    }
