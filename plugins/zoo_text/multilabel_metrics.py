"""Metrics of texts that have any number of labels, computed over a whole split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.interfaces import Batch, Metrics, Step
from zoo.intervals import wilson
from zoo_text.collecting import Collector
from zoo_text.metrics import MAX_AREA_SCORES, Array, calibration_error, per_class_table


class MultilabelMetrics:
    """Metrics of texts with any number of labels each.

    Args:
        labels: The labels (K).
        frequencies: Share of the training's texts that have each label (K,); None: of what is
            evaluated.
        threshold: Labels are predicted where their probability is above it.
        baseline_threshold: The same for the linear baseline.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        frequencies: Sequence[float] | None = None,
        threshold: float = 0.5,
        baseline_threshold: float = 0.5,
    ) -> None:
        self._labels = labels
        self._frequencies = frequencies
        self._threshold = threshold
        self._baseline_threshold = baseline_threshold
        self._collected = Collector()

    def update(self, batch: Batch, step: Step) -> None:
        """Add a batch.

        Args:
            batch: Its targets (B, K) are True, or 1, where a text has a label.
            step: ``outputs`` are logits (B, K); ``baseline_outputs`` those of a linear baseline.
        """
        self._collected.update(batch, step)

    def compute(self) -> Metrics:
        """Return the metrics by name.

        ``f1_micro`` is over all pairs of a text and a label, ``f1_macro`` the mean over labels that
        occur or are predicted, ``exact_match`` the share of texts all of whose labels are right,
        ``hamming_loss`` the share of wrong pairs. ``roc_auc_macro`` and ``pr_auc_macro`` are the
        mean area under the receiver operating curve and the mean average precision of labels that
        some texts have and others have not, ``roc_auc_micro`` and ``pr_auc_micro`` those over all
        pairs; they are left out where there is no such label, and where texts times labels are
        more than a million. ``ece`` is the mean distance of the probability of a pair from how
        often such pairs are true, in 15 bins.
        """
        from sklearn.metrics import accuracy_score, hamming_loss, precision_recall_fscore_support

        shares = self._collected.outputs().double().sigmoid().numpy()
        targets = self._collected.targets().bool().numpy()
        predicted = shares > self._threshold
        precision, recall, f1, support = precision_recall_fscore_support(
            targets, predicted, zero_division=0
        )
        seen = (support > 0) | predicted.any(0)
        low, high = micro_f1_interval(targets, predicted)
        return {
            "f1_micro": micro_f1(targets, predicted),
            "f1_micro_low": low,
            "f1_micro_high": high,
            "baselines": self._baselines(targets),
            "f1_macro": float(f1[seen].mean()) if seen.any() else 0.0,
            "exact_match": float(accuracy_score(targets, predicted)),
            "hamming_loss": float(hamming_loss(targets, predicted)),
            **_areas(targets, shares),
            **_calibration(targets, shares),
            "per_class": per_class_table(self._labels, precision, recall, f1, support),
        }

    def _baselines(self, targets: Array) -> dict[str, float]:
        baselines = {"majority": self._majority(targets)}
        if (logits := self._collected.baseline()) is not None:
            linear = logits.double().sigmoid().numpy() > self._baseline_threshold
            baselines["linear"] = micro_f1(targets, linear)
        return baselines

    def _majority(self, targets: Array) -> float:
        """Return the F1 of the same labels for every text: those of most texts, or the commonest.

        Of the two the better one counts.
        """
        frequencies = targets.mean(0) if self._frequencies is None else np.array(self._frequencies)
        answers = [frequencies > 0.5, np.arange(len(frequencies)) == frequencies.argmax()]
        return max(micro_f1(targets, np.broadcast_to(a, targets.shape)) for a in answers)


def micro_f1(targets: Array, predicted: Array) -> float:
    """Return the F1 over all pairs of a text and a label; 0 where none is true or predicted.

    Args:
        targets: (N, K), bool.
        predicted: (N, K), bool.
    """
    total = int(targets.sum()) + int(predicted.sum())
    return 2 * int((targets & predicted).sum()) / total if total else 0.0


def micro_f1_interval(targets: Array, predicted: Array) -> tuple[float, float]:
    """Return the 95 % interval of :func:`micro_f1`, by the variation between texts.

    F1 is a ratio of two sums over texts, ``r = sum(a) / sum(b)``, with the variance ``N / (N - 1) *
    sum((a - r b)**2) / sum(b)**2`` (W. Cochran, Sampling Techniques, 1977, section 6.3). The
    interval is Wilson's for the number of independent trials that have this variance (E. Korn and
    B. Graubard, Survey Methodology 24, 1998), and so stays within 0..1; for the number of texts
    where the variance is 0.
    """
    ratio, texts = micro_f1(targets, predicted), len(targets)
    hits = 2.0 * (targets & predicted).sum(1)
    totals = (targets.sum(1) + predicted.sum(1)).astype(float)
    squares = float(((hits - ratio * totals) ** 2).sum())
    if texts < 2 or not squares or ratio in (0, 1):
        return wilson(ratio * texts, texts)
    variance = texts / (texts - 1) * squares / totals.sum() ** 2
    trials = ratio * (1 - ratio) / variance
    return wilson(ratio * trials, trials)


def _areas(targets: Array, shares: Array) -> dict[str, float]:
    varying = targets.any(0) & ~targets.all(0)
    if not varying.any() or shares.size > MAX_AREA_SCORES or not np.isfinite(shares).all():
        return {}
    from sklearn.metrics import average_precision_score, roc_auc_score

    found = {}
    for average, chosen in (("macro", varying), ("micro", np.full_like(varying, True))):
        truth, scores = targets[:, chosen], shares[:, chosen]
        area = roc_auc_score(truth, scores, average=average)
        precision = average_precision_score(truth, scores, average=average)
        found[f"roc_auc_{average}"] = float(area)
        found[f"pr_auc_{average}"] = float(precision)
    return found


def _calibration(targets: Array, shares: Array) -> dict[str, float]:
    if not shares.size or not np.isfinite(shares).all():
        return {}
    return {"ece": calibration_error(shares.ravel(), targets.ravel())}
