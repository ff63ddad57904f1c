"""The temperature and the decision threshold, against a search through all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torch import Tensor, nn

from zoo_text.calibration import choose_threshold, fit_temperature


def overconfident(rows: int, labels: int, factor: float) -> tuple[Tensor, Tensor]:
    """Return logits that are ``factor`` times those that the targets were drawn by."""
    draw = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(rows, labels, generator=draw)
    if labels == 1:
        return factor * logits, torch.bernoulli(logits.sigmoid(), generator=draw)[:, 0].long()
    targets = torch.multinomial(logits.softmax(1), 1, generator=draw)[:, 0]
    return factor * logits, targets


@pytest.mark.parametrize("labels", [1, 2, 7])
@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_the_temperature_is_the_factor_that_logits_are_too_large_by(
    labels: int, factor: float
) -> None:
    logits, targets = overconfident(20_000, labels, factor)
    assert fit_temperature(logits, targets) == pytest.approx(factor, rel=0.05)


def test_the_temperature_minimises_the_loss() -> None:
    logits, targets = overconfident(300, 4, 2.0)
    found = fit_temperature(logits, targets)
    grid = torch.logspace(-1.3, 1.3, 2000, dtype=torch.float64)
    losses = [float(nn.functional.cross_entropy(logits.double() / t, targets)) for t in grid]
    assert found == pytest.approx(float(grid[int(np.argmin(losses))]), rel=0.002)
    assert float(nn.functional.cross_entropy(logits.double() / found, targets)) <= min(losses)


def test_several_labels_have_one_temperature() -> None:
    draw = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(5000, 6, generator=draw)
    targets = torch.bernoulli(logits.sigmoid(), generator=draw)
    for truth in (targets, targets.bool()):
        assert fit_temperature(2.5 * logits, truth) == pytest.approx(2.5, rel=0.05)


def test_a_temperature_that_cannot_be_fitted_is_one() -> None:
    logits, targets = overconfident(200, 3, 3.0)
    assert fit_temperature(logits[:19], targets[:19]) == 1
    assert fit_temperature(logits, torch.ones(200).long()) == 1
    assert fit_temperature(logits, logits.argmax(1)) == 1
    assert fit_temperature(torch.full_like(logits, torch.nan), targets) == 1


def test_the_temperature_stays_within_its_bounds() -> None:
    logits, targets = overconfident(500, 3, 1000.0)
    assert fit_temperature(logits, targets) == pytest.approx(20, rel=1e-3)
    assert fit_temperature(logits / 1e6, targets) == pytest.approx(0.05, rel=1e-3)


SCORES: dict[str, Callable[..., float]] = {
    "f1": sk.f1_score,
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
}


@pytest.mark.parametrize("metric", SCORES)
@pytest.mark.parametrize("seed", range(8))
def test_no_threshold_is_better_than_the_chosen_one(metric: str, seed: int) -> None:
    draw = np.random.default_rng(seed)
    truth = draw.random(60) < 0.3
    scores = np.clip(draw.normal(0.3 + 0.2 * truth, 0.2), 0.01, 0.99)
    if seed % 2:
        scores = scores.round(2)  # With ties.
    scores = scores.astype(np.float32)
    # Between two neighbouring scores: 0.5 or the middle. The nearest to 0.5 of the best.
    edges = [0.0, *np.unique(scores).tolist(), 1.0]
    gaps = itertools.pairwise(edges)
    thresholds = [0.5 if low <= 0.5 < high else (low + high) / 2 for low, high in gaps]
    values = [SCORES[metric](truth, scores > threshold) for threshold in thresholds]
    best = [t for t, value in zip(thresholds, values, strict=True) if value > max(values) - 1e-9]
    expected = min(best, key=lambda threshold: abs(threshold - 0.5))
    assert choose_threshold(scores, truth, metric) == pytest.approx(expected, abs=1e-6)


def test_a_half_is_kept_where_it_is_as_good_as_any() -> None:
    truth = np.arange(40) % 2 == 0
    assert choose_threshold(np.where(truth, 0.6, 0.4), truth) == 0.5
    assert choose_threshold(np.where(truth, 0.9, 0.8), truth) == pytest.approx(0.85)
    assert choose_threshold(np.where(truth, 1.0, 0.0), truth) == 0.5


def test_several_labels_share_the_threshold_of_the_best_micro_f1() -> None:
    draw = np.random.default_rng(0)
    truth = draw.random((50, 4)) < 0.2
    scores = np.float32(np.clip(draw.normal(0.2 + 0.2 * truth, 0.1), 0, 1))
    found = choose_threshold(scores, truth)
    values = [sk.f1_score(truth, scores > t, average="micro") for t in np.linspace(0, 1, 400)]
    best = sk.f1_score(truth, scores > np.float32(found), average="micro")
    assert best >= max(values)


def test_a_threshold_that_cannot_be_chosen_is_a_half() -> None:
    scores = np.linspace(0, 1, 40)
    assert choose_threshold(scores[:19], scores[:19] > 0.3) == 0.5
    assert choose_threshold(scores, scores >= 0) == 0.5
    assert choose_threshold(scores, scores < 0) == 0.5
    assert choose_threshold(scores * np.nan, scores > 0.3) == 0.5
    with pytest.raises(ValueError, match="no metric 'precision'"):
        choose_threshold(scores, scores > 0.3, "precision")


def test_the_chosen_threshold_holds_between_neighbouring_floats() -> None:
    low, high = np.float32(0.3), np.nextafter(np.float32(0.3), np.float32(1))
    scores = np.array([low] * 20 + [high] * 20, np.float32)
    found = torch.tensor(choose_threshold(scores, scores == high))
    assert torch.equal(torch.tensor(scores) > found, torch.tensor(scores == high))
