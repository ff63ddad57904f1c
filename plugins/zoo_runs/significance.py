"""Whether two models differ on the same examples: McNemar's test and the paired bootstrap.

Sources: Q. McNemar, Psychometrika 12 (1947); T. Dietterich, Neural Computation 10 (1998), who
recommends it for two classifiers that were trained once; B. Efron and R. Tibshirani, An
Introduction to the Bootstrap (1993), chapters 13 and 16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Statistic = Callable[[FloatArray], float]
"""A metric of a model, where each of M examples counts as often as its weight (M,) says."""

FEW = 25
"""With fewer examples that one model alone has right, the exact test takes the place of chi²."""


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's test that two models are equally often right.

    It is exact (binomial) where they disagree on fewer than :data:`FEW` examples, and
    otherwise that of chi² with one degree of freedom and Edwards' continuity correction.

    Args:
        only_first: Examples that the first model alone has right.
        only_second: Examples that the second model alone has right.
    """
    from scipy.stats import binom, chi2

    disagree = only_first + only_second
    if disagree < FEW:
        tail = binom.cdf(min(only_first, only_second), disagree, 0.5)
        return float(min(1.0, 2 * tail))
    statistic = (abs(only_first - only_second) - 1) ** 2 / disagree
    return float(chi2.sf(statistic, 1))


@dataclass(frozen=True, slots=True)
class Resampled:
    """What the paired bootstrap finds of a metric of two models.

    Args:
        values: The metric of each of the two.
        intervals: The 95 % interval of each.
        difference: The interval of the second value less the first.
        p_value: Two-sided, that there is no difference.
    """

    values: tuple[float, float]
    intervals: tuple[tuple[float, float], tuple[float, float]]
    difference: tuple[float, float]
    p_value: float


def paired_bootstrap(
    metrics: Sequence[tuple[Statistic, Statistic]], examples: int, *, resamples: int, seed: int
) -> list[Resampled]:
    """Resample examples, the same ones for both models and all metrics.

    Intervals are percentiles. The p-value is twice the smaller share of resamples on one side of
    zero, counting the sample itself, so that it is never 0.

    Args:
        metrics: Of each metric the statistic of the first and of the second model.
        examples: How many there are; with tokens, how many blocks of them.
        resamples: How often they are drawn anew.
        seed: Seed of the draws.
    """
    random = np.random.default_rng(seed)
    every = np.ones(examples)
    found = np.empty((resamples, len(metrics), 2))
    for number in range(resamples):
        drawn = random.integers(examples, size=examples)
        weights = np.bincount(drawn, minlength=examples).astype(np.float64)
        found[number] = [[first(weights), second(weights)] for first, second in metrics]
    results = []
    for at, (first, second) in enumerate(metrics):
        differences = found[:, at, 1] - found[:, at, 0]
        below = (1 + np.count_nonzero(differences <= 0)) / (resamples + 1)
        above = (1 + np.count_nonzero(differences >= 0)) / (resamples + 1)
        results.append(
            Resampled(
                (first(every), second(every)),
                (_interval(found[:, at, 0]), _interval(found[:, at, 1])),
                _interval(differences),
                float(min(1.0, 2 * min(below, above))),
            )
        )
    return results


def _interval(values: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
