"""Metrics for existing tasks: registered by a program, measured in training and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run as Command
from sum_task import Recorder, registered

import zoo
from zoo.errors import PluginError, UsageError
from zoo.interfaces import Batch, Step

Train = Callable[..., zoo.Run]
SETTINGS = ("hidden_size=3", "epochs=2", "learning_rate=0.01")


class LargestDifference:
    """The largest absolute difference of a split."""

    def __init__(self, task: Any) -> None:
        self.task = task
        self.largest = 0.0

    def update(self, batch: Batch, step: Step) -> None:
        assert step.outputs is not None
        self.largest = max(self.largest, float((step.outputs - batch.targets).abs().max()))

    def compute(self) -> dict[str, float]:
        return {"largest_difference": self.largest}


class SameName(LargestDifference):
    def compute(self) -> dict[str, float]:
        return {"loss": 0.0}


LARGEST = zoo.MetricInfo(name="largest", summary="", target=LargestDifference, tasks=("sum",))
TWIN = zoo.MetricInfo(name="twin", summary="", target=LargestDifference)
CLASH = zoo.MetricInfo(name="clash", summary="", target=SameName)


@pytest.fixture(autouse=True)
def metrics() -> Iterator[None]:
    with registered(LARGEST, TWIN, CLASH):
        yield


def largest_difference(model: zoo.TrainedModel, split: str) -> float:
    (batch,) = model.task.prepare(None, 1).splits[split].eval_batches()
    with torch.no_grad():
        outputs = model.module(batch.inputs, batch.lengths)
    return float((outputs - batch.targets).abs().max())


def test_a_registered_metric_is_measured_in_training_and_in_evaluation(
    train_here: Train, tmp_path: Path
) -> None:
    recorder = Recorder()
    run = train_here(
        "sum/lstm", tmp_path / "run", *SETTINGS, metrics=["largest"], callbacks=[recorder]
    )
    expected = pytest.approx(largest_difference(run.model, "validation"), abs=1e-6)
    assert [evaluation["largest_difference"] > 0 for evaluation in recorder.evaluations] == [
        True
    ] * 2
    assert run.model.info["metrics"]["validation"]["largest_difference"] == expected
    assert run.metrics["validation"]["largest_difference"] == expected
    assert None in run.history["largest_difference"]  # Lines of training do not have it.
    assert expected in run.history["largest_difference"]
    measured = run.model.evaluate(split="test", metrics=["largest"])
    assert measured["largest_difference"] == pytest.approx(
        largest_difference(run.model, "test"), abs=1e-6
    )
    assert "largest_difference" not in run.model.evaluate(split="test")


def test_a_resumed_run_has_the_metrics_that_it_was_started_with(
    train_here: Train, tmp_path: Path
) -> None:
    train_here("sum/lstm", tmp_path / "run", *SETTINGS, metrics=["largest"], stop_after=6)
    run = train_here("", tmp_path / "run", resume=True)
    found = [value for value in run.history["largest_difference"] if value is not None]
    assert len(found) == 2


@pytest.mark.parametrize("names", [["clash"], ["largest", "twin"]])
def test_a_name_that_exists_already_is_refused(
    names: list[str], train_here: Train, tmp_path: Path
) -> None:
    message = rf"^metric '{names[-1]}' returns '(loss|largest_difference)', which exists already"
    with pytest.raises(PluginError, match=message):
        train_here("sum/lstm", tmp_path / "run", *SETTINGS, metrics=names)
    run = train_here("sum/lstm", tmp_path / "plain", *SETTINGS)
    with pytest.raises(PluginError, match=message):
        run.model.evaluate(metrics=names)


def test_a_metric_of_another_task_is_refused_before_anything_is_read(
    sentiment_run: Path, zoo_here: Command, tmp_path: Path
) -> None:
    message = "metric 'largest' cannot be computed for task 'sentiment': it is declared for sum"
    done = zoo_here(
        "train", "sentiment/rnn", "--metric", "largest", "--threads", 1, "--out", tmp_path / "run"
    )
    assert (done.returncode, message in done.stderr) == (2, True)
    assert not (tmp_path / "run").exists()
    done = zoo_here("evaluate", sentiment_run, "--metric", "largest", "--threads", 1)
    assert (done.returncode, message in done.stderr) == (2, True)
    with pytest.raises(UsageError, match=message):
        zoo.load(sentiment_run).evaluate(metrics=["largest"])


def test_a_metric_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no metric 'larges' \(did you mean 'largest'\?\)"):
        zoo.train("sum/lstm", out=tmp_path / "run", metrics=["larges"], progress=False)
    assert not (tmp_path / "run").exists()
