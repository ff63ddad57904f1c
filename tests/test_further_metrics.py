"""Metrics for existing tasks: registered by a program, measured in training and evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Run as Command
from plain_sentiment import PLAIN
from sum_task import Recorder, registered

import zoo
from zoo.errors import PluginError, UsageError
from zoo.interfaces import Batch, Step
from zoo_text.classification import TextClassification
from zoo_text.options import ClassificationOptions
from zoo_text.top_k import Top5

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


@pytest.mark.parametrize(("labels", "batches"), [(7, 1), (7, 9), (30, 4), (5, 2), (2, 2)])
def test_top_5_counts_texts_with_fewer_than_five_likelier_labels(labels: int, batches: int) -> None:
    draw = np.random.default_rng(labels)
    logits = torch.from_numpy(draw.normal(size=(90, 1 if labels == 2 else labels)))
    targets = torch.from_numpy(draw.integers(labels - 1, size=90))  # The last one never occurs.
    task = TextClassification(ClassificationOptions())
    task.labels = [f"label {number}" for number in range(labels)]
    metric = Top5(task)
    for rows in torch.arange(90).chunk(batches):
        batch = Batch(torch.zeros(len(rows), 1), torch.ones(len(rows)), targets[rows])
        metric.update(batch, Step(torch.zeros(()), {}, outputs=logits[rows]))
    if labels == 2:
        logits = torch.cat((torch.zeros_like(logits), logits), dim=1)
    likelier = (logits > logits.gather(1, targets[:, None])).sum(1)
    expected = (likelier < 5).double().mean().item()
    assert metric.compute() == {"top5": pytest.approx(expected)}
    assert (expected < 1) == (labels > 5)


def test_a_training_and_an_evaluation_report_top_5_by_name(
    train_here: Train, zoo_here: Command, tmp_path: Path
) -> None:
    data = tmp_path / "tickets.csv"
    rows = [f"text number {number} of kind{number % 9},kind {number % 9}" for number in range(180)]
    data.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    settings = (*PLAIN, "hidden_size=3", "steps=2")
    run = train_here(
        "text-classification/rnn", tmp_path / "run", *settings, data=data, metrics=["top5"]
    )
    assert 0 < run.history["top5"][-1] < 1
    measured = zoo_here(
        "evaluate", run.path, "--split", "validation", "--metric", "top5", "--json", "--threads", 1
    )
    assert json.loads(measured.stdout)["top5"] == pytest.approx(run.history["top5"][-1])


def test_a_metric_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no metric 'larges' \(did you mean 'largest'\?\)"):
        zoo.train("sum/lstm", out=tmp_path / "run", metrics=["larges"], progress=False)
    assert not (tmp_path / "run").exists()
