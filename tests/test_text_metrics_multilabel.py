"""Metrics of texts with several labels and of predicted numbers, against scikit-learn."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from test_text_metrics import batches, names
from torch import Tensor

from zoo.interfaces import Metric
from zoo_text.multilabel_metrics import MultilabelMetrics, micro_f1_interval
from zoo_text.regression_metrics import RegressionMetrics


def measure(
    metric: Metric, outputs: Tensor, targets: Tensor, baseline: Tensor | None = None
) -> dict[str, Any]:
    for batch, step in batches(outputs, targets, baseline):
        metric.update(batch, step)
    return dict(metric.compute())


def drawn(rows: int, labels: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    shares = torch.linspace(0.6, 0.1, labels)
    targets = torch.rand(rows, labels, generator=draw) < shares
    logits = torch.randn(rows, labels, generator=draw) + 2.0 * targets - 1.5
    return logits, targets


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_scores_of_several_labels_are_those_of_scikit_learn(threshold: float) -> None:
    logits, targets = drawn(250, 6)
    found = measure(MultilabelMetrics(names(6), threshold=threshold), logits, targets.float())
    shares = logits.double().sigmoid()
    predicted = shares > threshold
    expected = {
        "f1_micro": sk.f1_score(targets, predicted, average="micro"),
        "f1_macro": sk.f1_score(targets, predicted, average="macro"),
        "exact_match": sk.accuracy_score(targets, predicted),
        "hamming_loss": float((targets != predicted).double().mean()),
        "roc_auc_macro": sk.roc_auc_score(targets, shares, average="macro"),
        "roc_auc_micro": sk.roc_auc_score(targets, shares, average="micro"),
        "pr_auc_macro": sk.average_precision_score(targets, shares, average="macro"),
        "pr_auc_micro": sk.average_precision_score(targets, shares, average="micro"),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    assert found["f1_micro_low"] < found["f1_micro"] < found["f1_micro_high"]
    report = sk.classification_report(targets, predicted, output_dict=True, zero_division=0)
    for label, row in enumerate(found["per_class"]["values"]):
        one = report[str(label)]
        assert row == pytest.approx(
            [one["precision"], one["recall"], one["f1-score"], one["support"]], abs=1e-4
        )


def test_probabilities_of_labels_are_compared_with_how_often_they_are_right() -> None:
    logits, targets = drawn(200, 4)
    found = measure(MultilabelMetrics(names(4)), logits, targets.float())
    truth, shares = targets.numpy().ravel(), logits.double().sigmoid().numpy().ravel()
    often, mean = calibration_curve(truth, shares, n_bins=15)
    number = np.histogram(shares, bins=15, range=(0, 1))[0]
    expected = (np.abs(often - mean) * number[number > 0]).sum() / len(truth)
    assert found["ece"] == pytest.approx(expected)


def test_the_interval_of_micro_f1_is_that_of_resampled_texts() -> None:
    logits, targets = drawn(400, 6)
    truth, predicted = targets.numpy(), (logits > 0).numpy()
    draw = np.random.default_rng(0)
    scores = []
    for _ in range(2000):
        rows = draw.integers(400, size=400)
        hits = (truth[rows] & predicted[rows]).sum()
        scores.append(2 * hits / (truth[rows].sum() + predicted[rows].sum()))
    expected = np.quantile(scores, [0.025, 0.975])
    assert micro_f1_interval(truth, predicted) == pytest.approx(tuple(expected), abs=0.004)


def test_the_interval_of_a_perfect_score_has_a_width() -> None:
    truth = np.eye(10, dtype=bool)
    low, high = micro_f1_interval(truth, truth)
    assert (0.6 < low < 0.8, high) == (True, 1.0)
    low, high = micro_f1_interval(truth, ~truth & False)
    assert (low, 0.2 < high < 0.4) == (0.0, True)


def test_the_majority_is_the_better_of_two_constant_answers() -> None:
    logits, targets = drawn(300, 5)
    targets[:, 0] = True
    targets[:200, 1] = True
    targets[200:, 1] = False
    linear, _ = drawn(300, 5, seed=4)
    found = measure(MultilabelMetrics(names(5)), logits, targets, linear)
    most, commonest = torch.zeros(300, 5), torch.zeros(300, 5)
    most[:, targets.double().mean(0) > 0.5] = 1
    commonest[:, 0] = 1
    expected = max(sk.f1_score(targets, c, average="micro") for c in (most, commonest))
    assert found["baselines"] == pytest.approx(
        {"majority": expected, "linear": sk.f1_score(targets, linear > 0, average="micro")}
    )
    # No label is on more than half of the training's texts: the commonest one is.
    found = measure(MultilabelMetrics(names(5), frequencies=[0.1, 0, 0, 0, 0.2]), logits, targets)
    rare = torch.zeros(300, 5)
    rare[:, 4] = 1
    assert found["baselines"]["majority"] == pytest.approx(
        sk.f1_score(targets, rare, average="micro")
    )


@pytest.mark.parametrize("labels", [1, 3, 50])
def test_texts_without_any_label_are_measured(labels: int) -> None:
    logits, targets = drawn(40, labels)
    for truth in (targets, torch.zeros_like(targets)):
        found = measure(MultilabelMetrics(names(labels)), logits, truth)
        assert len(json.dumps(found, allow_nan=False)) < 2500
        assert ("pr_auc_micro" in found) == bool(truth.any())
        assert ("roc_auc_macro" in found) == bool(truth.any())
        assert len(found["per_class"]["rows"]) <= 20


@pytest.mark.parametrize("shape", [(200,), (200, 1)])
def test_scores_of_numbers_are_those_of_scikit_learn(shape: tuple[int, ...]) -> None:
    draw = np.random.default_rng(1)
    truth = draw.normal(50, 10, 200)
    predicted = np.float32(truth + draw.normal(1, 4, 200))
    linear = np.float32(truth + draw.normal(0, 6, 200))
    found = measure(
        RegressionMetrics(mean=48.0),
        torch.tensor(predicted).view(shape),
        torch.tensor(truth),
        torch.tensor(linear).view(shape),
    )
    errors = np.abs(predicted - truth)
    half = 1.96 * errors.std(ddof=1) / math.sqrt(200)
    expected = {
        "mae": sk.mean_absolute_error(truth, predicted),
        "rmse": sk.root_mean_squared_error(truth, predicted),
        "r2": sk.r2_score(truth, predicted),
        "median_absolute_error": np.median(errors),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    assert found["mae_low"] == pytest.approx(errors.mean() - half, rel=1e-4)
    assert found["mae_high"] == pytest.approx(errors.mean() + half, rel=1e-4)
    assert found["baselines"] == pytest.approx(
        {"mean": np.abs(truth - 48).mean(), "linear": np.abs(linear - truth).mean()}
    )


def test_numbers_that_are_all_the_same_have_no_r2() -> None:
    found = measure(RegressionMetrics(), torch.arange(30.0), torch.full((30,), 5.0).double())
    assert "r2" not in found
    assert found["baselines"] == {"mean": 0.0}
    json.dumps(found, allow_nan=False)


def test_a_prediction_that_is_not_finite_makes_the_error_so() -> None:
    """The trainer takes it for what it is: a diverged training."""
    found = measure(RegressionMetrics(), torch.tensor([1.0, math.inf]), torch.ones(2))
    assert math.isnan(found["mae"])
