"""Metrics of a classifier of texts, against scikit-learn and the equations."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torch import Tensor

from zoo.interfaces import Batch, Step
from zoo.intervals import wilson
from zoo_text.metrics import ClassificationMetrics, predicted_classes


def batches(
    outputs: Tensor, targets: Tensor, baseline: Tensor | None = None
) -> list[tuple[Batch, Step]]:
    """Return what a task would make of a split, in batches of seven."""
    made = []
    for rows in torch.arange(len(targets)).split(7):
        batch = Batch(torch.zeros(len(rows), 1), torch.ones(len(rows)), targets[rows])
        extra = None if baseline is None else baseline[rows]
        step = Step(torch.zeros(()), {}, outputs=outputs[rows], baseline_outputs=extra)
        made.append((batch, step))
    return made


def measure(
    outputs: Tensor,
    targets: Tensor,
    labels: Sequence[str],
    baseline: Tensor | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    metric = ClassificationMetrics(labels, **arguments)
    for batch, step in batches(outputs, targets, baseline):
        metric.update(batch, step)
    return dict(metric.compute())


def drawn(rows: int, labels: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return logits that know something of unequal classes, and the targets."""
    draw = torch.Generator().manual_seed(seed)
    shares = torch.arange(1.0, labels + 1)
    targets = torch.multinomial(shares, rows, replacement=True, generator=draw)
    logits = torch.randn(rows, labels, generator=draw)
    logits[torch.arange(rows), targets] += 1.5
    return logits, targets


def names(count: int) -> list[str]:
    return [f"label {number}" for number in range(count)]


def test_scores_of_many_classes_are_those_of_scikit_learn() -> None:
    logits, targets = drawn(300, 5)
    found = measure(logits, targets, names(5))
    predicted, shares = logits.argmax(1), logits.double().softmax(1)
    low, high = wilson(int((predicted == targets).sum()), 300)
    expected = {
        "accuracy": sk.accuracy_score(targets, predicted),
        "accuracy_low": low,
        "accuracy_high": high,
        "f1_macro": sk.f1_score(targets, predicted, average="macro"),
        "f1_weighted": sk.f1_score(targets, predicted, average="weighted"),
        "balanced_accuracy": sk.balanced_accuracy_score(targets, predicted),
        "matthews": sk.matthews_corrcoef(targets, predicted),
        "roc_auc_macro": sk.roc_auc_score(targets, shares, multi_class="ovr", average="macro"),
        "pr_auc_macro": np.mean(
            [sk.average_precision_score(targets == label, shares[:, label]) for label in range(5)]
        ),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    assert found["confusion"]["values"] == sk.confusion_matrix(targets, predicted).tolist()
    report = sk.classification_report(targets, predicted, output_dict=True)
    for label, row in enumerate(found["per_class"]["values"]):
        one = report[str(label)]
        assert row == pytest.approx(
            [one["precision"], one["recall"], one["f1-score"], one["support"]], abs=1e-4
        )


def test_two_classes_may_have_one_logit_or_two() -> None:
    logits, targets = drawn(200, 2)
    one = measure((logits[:, 1] - logits[:, 0])[:, None], targets, names(2))
    two = measure(logits, targets, names(2))
    assert one["confusion"] == two["confusion"]
    scores = [key for key in one if isinstance(one[key], float)]
    assert [one[key] for key in scores] == pytest.approx([two[key] for key in scores])
    predicted, share = logits.argmax(1), logits.double().softmax(1)[:, 1]
    assert one["f1"] == pytest.approx(sk.f1_score(targets, predicted))
    assert one["roc_auc"] == pytest.approx(sk.roc_auc_score(targets, share))
    assert one["pr_auc"] == pytest.approx(sk.average_precision_score(targets, share))
    # The area is the share of pairs that are in order.
    pairs = share[targets == 1][:, None] > share[targets == 0][None, :]
    assert one["roc_auc"] == pytest.approx(float(pairs.double().mean()))


@pytest.mark.parametrize("positive", [0, 1])
def test_f1_and_average_precision_of_two_labels_name_the_label(positive: int) -> None:
    logits, targets = drawn(300, 2)
    found = measure(logits, targets, ["spam", "ham"], positive=positive)
    assert found["f1_label"] == found["pr_auc_label"] == ("spam", "ham")[positive]
    expected = sk.f1_score(targets, logits.argmax(1), pos_label=positive)
    assert found["f1"] == pytest.approx(expected)
    share = logits.double().softmax(1)[:, positive]
    precision = sk.average_precision_score(targets == positive, share)
    assert found["pr_auc"] == pytest.approx(precision)
    three = measure(*drawn(100, 3), names(3))
    assert not {"f1", "pr_auc", "roc_auc"} & three.keys()


def test_matthews_of_two_classes_is_the_formula() -> None:
    logits, targets = drawn(120, 2, seed=3)
    found = measure(logits, targets, names(2))
    (tn, fp), (fn, tp) = found["confusion"]["values"]
    root = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert found["matthews"] == pytest.approx((tp * tn - fp * fn) / root)


def test_the_second_label_is_predicted_above_the_threshold() -> None:
    logits, targets = drawn(200, 2)
    share = logits.double().softmax(1)[:, 1]
    for threshold in (0.1, 0.5, 0.8):
        found = measure(logits, targets, names(2), threshold=threshold)
        right = ((share > threshold).long() == targets).double().mean()
        assert found["accuracy"] == pytest.approx(float(right))
        assert torch.equal(predicted_classes(logits, threshold), (share > threshold).long())


def test_baselines_are_computed_on_the_same_texts() -> None:
    logits, targets = drawn(150, 3)
    linear, _ = drawn(150, 3, seed=1)
    found = measure(logits, targets, names(3), linear)
    counts = np.bincount(targets)
    assert found["baselines"] == {
        "majority": counts.max() / 150,
        "linear": sk.accuracy_score(targets, linear.argmax(1)),
    }
    # The commonest label of the training need not be the commonest of what is evaluated.
    found = measure(logits, targets, names(3), majority=0)
    assert found["baselines"] == {"majority": counts[0] / 150}


def test_the_calibration_error_of_perfectly_calibrated_probabilities_is_small() -> None:
    draw = np.random.default_rng(0)
    share = draw.uniform(0.01, 0.99, 40_000)
    targets = torch.tensor(draw.random(40_000) < share).long()
    logits = torch.tensor(np.log(share / (1 - share)))[:, None]
    assert measure(logits, targets, names(2))["ece"] < 0.01
    # Three times the logit is far too sure of itself: the gap is its mean distance.
    sure = 1 / (1 + np.exp(-3 * np.abs(logits.numpy()[:, 0])))
    gap = np.mean(sure) - np.mean(np.maximum(share, 1 - share))
    assert measure(3 * logits, targets, names(2))["ece"] == pytest.approx(gap, abs=0.01)


def test_the_calibration_error_is_the_sum_over_bins() -> None:
    logits, targets = drawn(100, 4)
    shares = logits.double().softmax(1)
    top, right = shares.max(1).values.numpy(), (shares.argmax(1) == targets).numpy()
    expected = 0.0
    for number in range(15):
        inside = (top > number / 15) & (top <= (number + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    assert measure(logits, targets, names(4))["ece"] == pytest.approx(expected)


def test_classes_that_do_not_occur_leave_no_hole() -> None:
    logits, targets = drawn(100, 4)
    targets = targets.clamp(min=2)
    found = measure(logits, targets, names(4))
    occurring = [2, 3]
    shares = logits.double().softmax(1)
    assert found["roc_auc_macro"] == pytest.approx(
        np.mean([sk.roc_auc_score(targets == label, shares[:, label]) for label in occurring])
    )
    recall = sk.recall_score(targets, logits.argmax(1), labels=occurring, average="macro")
    assert found["balanced_accuracy"] == pytest.approx(recall)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.filterwarnings("error")
def test_what_is_undefined_is_left_out(labels: int) -> None:
    """A single class has no curve, and nothing warns."""
    logits, _ = drawn(30, labels)
    with np.errstate(all="raise"):
        found = measure(logits, torch.ones(30).long(), names(labels))
        measure(logits * 0 + torch.eye(labels)[1], torch.ones(30).long(), names(labels))
    assert not [name for name in found if "auc" in name]
    assert found["matthews"] == 0
    json.dumps(found, allow_nan=False)


def test_logits_that_are_not_finite_leave_out_areas_and_calibration() -> None:
    logits, targets = drawn(30, 3)
    logits[4, 1] = math.nan
    found = measure(logits, targets, names(3))
    assert not [name for name in found if "auc" in name or name == "ece"]


def test_tables_stay_small_with_a_thousand_labels() -> None:
    labels = [f"{number:04} " + "long name " * 20 for number in range(1000)]
    logits, targets = drawn(2000, 1000)
    found = measure(logits, targets, labels)
    assert len(json.dumps(found)) < 4000
    assert "roc_auc_macro" not in found  # Of so many scores they would take too long.
    predicted = logits.argmax(1)
    counts = sk.confusion_matrix(targets, predicted, labels=np.arange(1000))
    np.fill_diagonal(counts, 0)
    worst = np.sort(counts.ravel())[::-1][:10]
    assert [count for (count,) in found["confusion"]["values"]] == worst.tolist()
    true, wrong = (int(name[:4]) for name in found["confusion"]["rows"][0].split(" -> "))
    assert counts[true, wrong] == worst[0]
    f1 = sk.f1_score(targets, predicted, labels=np.unique(targets), average=None, zero_division=0)
    shown = [row[2] for row in found["per_class"]["values"]]
    assert shown == pytest.approx(np.sort(f1)[:10], abs=1e-4)
