"""What a classifier takes from validation data: a temperature and a decision threshold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

MIN_TEXTS = 20
"""From fewer texts nothing is fitted."""

TEMPERATURES = (0.05, 20.0)


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """Return the temperature under which logits divided by it make the targets likeliest.

    Source: C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2. The
    loss is convex in the inverse of the temperature, so that there is one minimum.

    Args:
        logits: (N, K); or (N, 1) of the second of two labels.
        targets: (N,) indexes of labels; or (N, K) of 0 and 1 where texts have several labels.

    Returns:
        A temperature from 0.05 to 20; 1 where none can be fitted: there are fewer than 20 texts,
        all have the same targets, every text is right already (the likelihood then grows without
        end), or logits are not finite.
    """
    logits, targets = logits.detach().double().cpu(), targets.detach().cpu()
    if len(logits) < MIN_TEXTS or not bool(logits.isfinite().all()):
        return 1.0
    several = targets.dim() == 2 or logits.shape[1] == 1
    truth = targets.double().view_as(logits) if several else targets.long()
    predicted = (logits > 0).double() if several else logits.argmax(1)
    if bool((truth == truth[:1]).all()) or bool((predicted == truth).all()):
        return 1.0
    measure: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy
    if several:
        measure = nn.functional.binary_cross_entropy_with_logits

    def loss(log_temperature: float) -> float:
        return float(measure(logits / math.exp(log_temperature), truth))

    from scipy.optimize import minimize_scalar

    low, high = map(math.log, TEMPERATURES)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-5})
    return float(np.clip(math.exp(found.x), *TEMPERATURES))


def choose_threshold(
    probabilities: npt.ArrayLike, targets: npt.ArrayLike, metric: str = "f1"
) -> float:
    """Return the threshold above which a probability counts as a yes, by the best metric.

    Every threshold between two neighbouring probabilities predicts the same; the one returned is
    0.5 if it is among them, else their middle. Of equally good ones it is the one nearest to 0.5.

    Args:
        probabilities: (N,) of the second of two labels; or (N, K) of several labels, which get
            one threshold: F1 is then that over all pairs of a text and a label.
        targets: Of the same shape: whether the label is the right one.
        metric: ``f1``, ``accuracy`` or ``balanced_accuracy``.

    Returns:
        A threshold that float32 represents; 0.5 where there are fewer than 20 texts, all targets
        are the same, or probabilities are not finite.

    Raises:
        ValueError: There is no such metric.
    """
    scores = np.asarray(probabilities, np.float32)
    if metric not in ("f1", "accuracy", "balanced_accuracy"):
        raise ValueError(f"no metric {metric!r}")
    few = len(scores) < MIN_TEXTS
    truth = np.asarray(targets, bool).ravel()
    scores = scores.ravel()
    if few or truth.all() or not truth.any() or not np.isfinite(scores).all():
        return 0.5
    order = np.argsort(scores, kind="stable")
    scores, truth = scores[order], truth[order]
    # Between scores[i - 1] and scores[i] what is from i on is a yes; i runs to N: none is.
    lower = np.concatenate([np.zeros(1, np.float32), scores])
    upper = np.concatenate([scores, np.ones(1, np.float32)])
    missed = np.concatenate([[0], np.cumsum(truth)])
    rejected = np.concatenate([[0], np.cumsum(~truth)])
    values = _values(metric, missed, rejected)
    distinct = lower < upper
    distinct[-1] = True  # At a score of 1 the threshold 1 is above all.
    values, lower, upper = values[distinct], lower[distinct], upper[distinct]
    middle = (lower + upper) / 2
    middle = np.where(middle < upper, middle, lower)
    thresholds = np.where((lower <= 0.5) & (upper > 0.5), np.float32(0.5), middle)
    best = np.flatnonzero(values >= values.max() - 1e-12)
    return float(thresholds[best[np.abs(thresholds[best] - 0.5).argmin()]])


def logit(probability: float) -> float:
    """Return the logarithm of the odds of a probability, which is kept off 0 and 1.

    >>> logit(0.5)
    0.0
    """
    tiny = float(np.finfo(np.float32).tiny)
    return math.log(max(probability, tiny)) - math.log(max(1 - probability, tiny))


def _values(metric: str, missed: npt.NDArray[Any], rejected: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the metric of every threshold, by its false and its true negatives."""
    positives, negatives = missed[-1], rejected[-1]
    found = positives - missed
    if metric == "accuracy":
        values = (found + rejected) / (positives + negatives)
    elif metric == "balanced_accuracy":
        values = (found / positives + rejected / negatives) / 2
    else:
        values = 2 * found / (found + (negatives - rejected) + positives)
    return np.asarray(values)
