"""Intervals against published and NumPy figures."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.intervals import mean_interval, wilson


@pytest.mark.parametrize(
    ("hits", "examples", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),
        (81, 263, 0.2553, 0.3662),  # R. Newcombe, Statistics in Medicine 17 (1998), table I.
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(
    hits: int, examples: int, low: float, high: float
) -> None:
    assert wilson(hits, examples) == pytest.approx((low, high), abs=5e-5)


def test_wilson_stays_between_0_and_1() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    for examples in range(1, 60):
        for hits in range(examples + 1):
            low, high = wilson(hits, examples)
            assert 0 <= low <= hits / examples <= high <= 1


def test_wilson_has_the_stated_coverage() -> None:
    hits = np.random.default_rng(1).binomial(200, 0.9, size=2000)
    covered = sum(low <= 0.9 <= high for low, high in (wilson(int(h), 200) for h in hits))
    assert 0.93 < covered / 2000 < 0.97


def test_the_interval_of_a_mean_is_that_of_numpy() -> None:
    values = np.random.default_rng(2).normal(3.0, 0.5, size=50)
    low, high = mean_interval(values.sum(), (values**2).sum(), len(values))
    half = 1.959964 * values.std(ddof=1) / np.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-6)


def test_fewer_than_two_values_have_an_infinite_interval() -> None:
    assert mean_interval(0.0, 0.0, 0) == (-np.inf, np.inf)
    assert mean_interval(3.0, 9.0, 1) == (-np.inf, np.inf)


def test_the_interval_of_equal_values_is_their_mean() -> None:
    assert mean_interval(0.3 * 7, 0.09 * 7, 7) == pytest.approx((0.3, 0.3))
