"""The verdict of a score: its interval, and whether it beats the baselines."""

from __future__ import annotations

from typing import Any

import pytest

import zoo
from zoo.verdict import verdict

TASKS = {
    monitor: zoo.TaskInfo(
        name="t", summary="", target="m:T", monitor=monitor, higher_is_better=higher
    )
    for monitor, higher in (("accuracy", True), ("mae", False), ("r2", True), ("macro_f1", True))
}


def said(monitor: str, value: float, low: float, high: float, **baselines: float) -> list[str]:
    metrics: dict[str, Any] = {
        monitor: value, f"{monitor}_low": low, f"{monitor}_high": high, "examples": 1000,
        "baselines": baselines,
    }  # fmt: skip
    return list(verdict(TASKS[monitor], metrics))


def test_a_score_that_beats_every_baseline() -> None:
    assert said("accuracy", 0.991, 0.983, 0.995, majority=0.861, linear=0.98) == [
        "test accuracy 0.991 (95 %: 0.983 to 0.995) on 1,000 examples",
        "beats majority by 13.0 points and the linear baseline by 1.1",
    ]


def test_a_difference_within_the_interval_is_said_to_be() -> None:
    sentence = said("accuracy", 0.991, 0.983, 0.995, majority=0.861, linear=0.989)[1]
    assert sentence == (
        "beats majority by 13.0 points and the linear baseline by 0.2 (within the margin of error)"
    )


def test_a_score_that_does_not_beat_a_baseline_comes_with_advice() -> None:
    sentence = said("accuracy", 0.95, 0.93, 0.96, majority=0.861, linear=0.992)[1]
    assert sentence == (
        "beats majority by 8.9 points; does NOT beat the linear baseline (0.992): "
        "try more epochs, another learning rate or another model"
    )
    worse = said("accuracy", 0.42, 0.40, 0.44, majority=0.426)[1]
    assert worse.startswith("does NOT beat majority (0.426, within the margin of error): check ")
    assert "columns" in worse


def test_the_same_score_beats_nothing() -> None:
    assert said("accuracy", 0.9, 0.8, 0.95, majority=0.5, linear=0.9)[1] == (
        "beats majority by 40.0 points; does no better than the linear baseline (0.900): "
        "the test part is too small to tell which is better"
    )


def test_advice_is_given_only_where_a_baseline_is_better_beyond_the_margin_of_error() -> None:
    sentence = said("accuracy", 0.9, 0.88, 0.92, majority=0.5, linear=0.91)[1]
    assert sentence == (
        "beats majority by 40.0 points; does NOT beat the linear baseline "
        "(0.910, within the margin of error): the test part is too small to tell which is better"
    )
    assert said("accuracy", 0.9, 0.88, 0.92, linear=0.91, ngrams=0.9)[1].endswith(
        ": the test part is too small to tell which is better"
    )
    assert said("accuracy", 0.9, 0.88, 0.92, linear=0.91, ngrams=0.95)[1].endswith(
        ": try more epochs, another learning rate or another model"
    )


def test_a_perfect_score_needs_no_advice() -> None:
    sentence = said("accuracy", 1.0, 0.97, 1.0, linear=1.0)[1]
    assert sentence == "does no better than the linear baseline (1.000)"
    assert said("mae", 0.0, 0.0, 0.0, mean=0.0)[1] == "does no better than the mean (0.000)"


def test_an_error_is_lower_by_a_share() -> None:
    sentence = said("mae", 0.44, 0.42, 0.46, mean=0.5, linear=0.45)[1]
    assert sentence == (
        "is lower than that of the mean by 12 % and than that of the linear baseline by 2.22 % "
        "(within the margin of error)"
    )
    assert said("mae", 5000, 4000, 6000, mean=4500)[1].startswith(
        "is NOT lower than that of the mean (4,500, within the margin of error): check"
    )


def test_points_are_for_shares_alone() -> None:
    assert said("r2", 0.5, 0.4, 0.6, mean=-0.01)[1] == "beats the mean by 0.510"
    assert (
        said("macro_f1", 0.5, 0.4, 0.6, ngrams=0.25)[1]
        == "beats the ngrams baseline by 25.0 points"
    )
    assert said("macro_f1", 0.5, 0.4, 0.6, ngrams=0.25)[0].startswith("test macro f1 0.500 (95 %")


@pytest.mark.parametrize("baselines", [{}, None])
def test_without_baselines_there_is_the_score_alone(baselines: Any) -> None:
    metrics = {"accuracy": 0.5, "baselines": baselines}
    assert verdict(TASKS["accuracy"], metrics, "validation") == ("validation accuracy 0.500",)
    endless = {"accuracy": 0.5, "accuracy_low": float("-inf"), "accuracy_high": float("inf")}
    assert verdict(TASKS["accuracy"], endless) == ("test accuracy 0.500",)


def test_an_error_of_zero_is_compared_without_a_share() -> None:
    assert said("mae", 0.5, 0.4, 0.6, mean=0.0)[1].startswith("is NOT lower than that of the mean")
    assert said("mae", 0.001234, 0.001, 0.002, mean=1.0)[0].startswith(
        "test mae 0.0012 (95 %: 0.001"
    )
