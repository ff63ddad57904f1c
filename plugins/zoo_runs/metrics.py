"""Metrics of outcomes that two runs are compared by, each a function of the examples' weights."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from zoo.interfaces import Outcomes
from zoo_runs.significance import FloatArray, Statistic

BLOCK = 32
"""Tokens that are drawn together: neighbours in a text are not independent."""

_MOST_LABELS = 1000
"""With more labels F1 over labels is not computed for each of thousands of samples."""


def statistics(outcomes: Outcomes) -> dict[str, Statistic]:
    """Return the metrics of outcomes by name, as the tasks define them.

    Args:
        outcomes: What a model says of M examples.
    """
    if outcomes.kind == "tokens":
        losses = blocks(outcomes.losses)
        return {"loss": _ratio(losses, blocks(np.ones(len(outcomes.losses))))}
    ones = np.ones(len(outcomes.losses))
    found = {"loss": _ratio(outcomes.losses, ones)}
    if outcomes.kind == "numbers":
        errors = np.abs(outcomes.predicted - outcomes.targets)
        return {"mae": _ratio(errors, ones), "rmse": _root(_ratio(errors**2, ones)), **found}
    if outcomes.kind == "labels":
        found = {"accuracy": _ratio(right(outcomes), ones), **found}
        if len(outcomes.names) <= _MOST_LABELS:
            found["f1_macro"] = _f1_macro(outcomes)
        return found
    return {"f1_micro": _f1_micro(outcomes), "exact_match": _ratio(right(outcomes), ones), **found}


def right(outcomes: Outcomes) -> FloatArray:
    """Return whether each example (M,) is predicted right, as 0 or 1: all of its labels."""
    same = outcomes.predicted == outcomes.targets
    if outcomes.kind == "label-sets":
        same = same.all(1)
    return np.asarray(same, dtype=np.float64)


def blocks(values: npt.NDArray[np.float64]) -> FloatArray:
    """Return the sum of each block of :data:`BLOCK` values; the last one may have fewer."""
    return np.add.reduceat(values, np.arange(0, len(values), BLOCK)).astype(np.float64)


def _ratio(totals: FloatArray, sizes: FloatArray) -> Statistic:
    return lambda weights: float(weights @ totals / (weights @ sizes))


def _root(mean: Statistic) -> Statistic:
    return lambda weights: math.sqrt(mean(weights))


def _f1_macro(outcomes: Outcomes) -> Statistic:
    """Return F1 averaged over the labels that occur or are predicted."""
    number = len(outcomes.names)
    targets, predicted = outcomes.targets, outcomes.predicted
    hits = np.where(predicted == targets, targets, number)

    def compute(weights: FloatArray) -> float:
        true_positive = np.bincount(hits, weights, number + 1)[:number]
        both = np.bincount(targets, weights, number) + np.bincount(predicted, weights, number)
        seen = both > 0
        return float(np.mean(2 * true_positive[seen] / both[seen]))

    return compute


def _f1_micro(outcomes: Outcomes) -> Statistic:
    targets, predicted = outcomes.targets, outcomes.predicted
    hits = (targets & predicted).sum(1).astype(np.float64)
    both = (targets.sum(1) + predicted.sum(1)).astype(np.float64)
    return lambda weights: float(2 * (weights @ hits) / max(weights @ both, 1e-12))
