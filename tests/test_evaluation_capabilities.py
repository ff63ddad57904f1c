"""What a task may add to an evaluation: metrics of its own, calibration, notes on its data."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sum_task import Recorder, Sum, SumOptions, registered
from torch import Tensor, nn

import zoo
from zoo.engine.progress import format_evaluation
from zoo.engine.state import TrainState
from zoo.errors import PluginError
from zoo.interfaces import Batch, Calibrates, Data, FindsMistakes, MakesMetrics, Split, State, Step
from zoo.interfaces import BuildModel as Build

Train = Callable[..., zoo.Run]
SETTINGS = ("hidden_size=3", "epochs=2", "learning_rate=0.01")


class Range:
    """How far apart the largest and the smallest output are; and the baseline's mean."""

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []
        self.baseline: list[Tensor] = []

    def update(self, batch: Batch, step: Step) -> None:
        assert step.outputs is not None
        assert step.baseline_outputs is not None
        self.outputs.append(step.outputs)
        self.baseline.append(step.baseline_outputs)

    def compute(self) -> dict[str, Any]:
        outputs = torch.cat(self.outputs)
        spread = float(outputs.max() - outputs.min())
        return {"spread": spread, "baselines": {"zero": float(torch.cat(self.baseline).mean())}}


class Scaled(nn.Module):
    """A network whose outputs are multiplied by a buffer."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("scale", torch.ones(()))

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        return self.inner(inputs, lengths) * self.scale  # type: ignore[no-any-return]


class Calibrated(Sum):
    """The scale is the one that suits the validation split best."""

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        return replace(super().prepare(path, seed, fit=fit), notes=("rows  random", "sums  0"))

    def network(self, build_model: Build) -> nn.Module:
        return Scaled(super().network(build_model))

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        step = super().step(network, batch, state)
        assert step.outputs is not None
        return replace(step, baseline_outputs=torch.zeros_like(step.outputs))

    def make_metrics(self, network: nn.Module) -> Sequence[Range]:
        del network
        return [Range()]

    def calibrate(self, network: nn.Module, split: Split) -> None:
        assert not network.training
        (batch,) = split.eval_batches()
        with torch.no_grad():
            outputs = network.inner(batch.inputs, batch.lengths)  # type: ignore[operator]
            network.scale.fill_(outputs @ batch.targets / (outputs @ outputs))  # type: ignore[operator]


class Clashing(Calibrated):
    def make_metrics(self, network: nn.Module) -> Sequence[Range]:
        del network
        return [Range(), Range()]


def info(name: str, target: type[Sum]) -> zoo.TaskInfo:
    return zoo.TaskInfo(
        name=name, summary="", target=target, options=SumOptions, monitor="loss",
        higher_is_better=False,
    )  # fmt: skip


CALIBRATED, CLASHING = info("calibrated", Calibrated), info("clashing", Clashing)


def best_scale(model: zoo.TrainedModel) -> float:
    (batch,) = model.task.prepare(None, 1).splits["validation"].eval_batches()
    inner: Any = model.module.inner
    with torch.no_grad():
        outputs = inner(batch.inputs, batch.lengths)
    return float(torch.linalg.lstsq(outputs[:, None], batch.targets[:, None]).solution)


def test_what_a_task_implements_is_found_by_its_methods() -> None:
    task = Calibrated(SumOptions())
    assert isinstance(task, MakesMetrics)
    assert isinstance(task, Calibrates)
    assert not isinstance(task, FindsMistakes)
    assert not isinstance(Sum(SumOptions()), MakesMetrics | Calibrates)


@pytest.mark.parametrize("average", ["none", "0.8"])
def test_the_saved_network_is_calibrated_by_the_validation_split(
    average: str, train_here: Train, tmp_path: Path
) -> None:
    with registered(CALIBRATED):
        settings = [*SETTINGS, *([f"average={average}"] if average != "none" else [])]
        run = train_here("calibrated/lstm", tmp_path / "run", *settings)
        scale: Any = run.model.module.scale
        assert float(scale) != 1
        assert float(scale) == pytest.approx(best_scale(run.model), rel=1e-4)


def test_metrics_that_a_task_makes_are_in_every_evaluation_and_not_in_the_log(
    train_here: Train, tmp_path: Path
) -> None:
    recorder = Recorder()
    with registered(CALIBRATED):
        run = train_here("calibrated/lstm", tmp_path / "run", *SETTINGS, callbacks=[recorder])
        measured = run.model.evaluate(split="test")
        (batch,) = run.model.task.prepare(None, 1).splits["test"].eval_batches()
        with torch.no_grad():
            outputs = run.model.module(batch.inputs, batch.lengths)
    assert measured["spread"] == pytest.approx(float(outputs.max() - outputs.min()), rel=1e-5)
    assert measured["baselines"] == {"zero": 0.0}
    assert all(line["spread"] > 0 for line in recorder.evaluations)
    assert not any("spread" in line for line in recorder.logs)


def test_two_metrics_of_a_task_may_not_have_one_name(train_here: Train, tmp_path: Path) -> None:
    with (
        registered(CLASHING),
        pytest.raises(PluginError, match=r"^metric 'Range' returns 'baselines', which exists"),
    ):
        train_here("clashing/lstm", tmp_path / "run", *SETTINGS)


def test_notes_on_the_data_and_short_lines_of_evaluations_are_shown(
    train_here: Train, tmp_path: Path
) -> None:
    shown = io.StringIO()
    with registered(CALIBRATED), redirect_stderr(shown):
        train_here("calibrated/lstm", tmp_path / "run", *SETTINGS, progress=True)
    lines = shown.getvalue().splitlines()
    assert [line for line in lines if "  " in line] == ["rows  random", "sums  0"]
    assert lines.index("rows  random") < min(
        number for number, line in enumerate(lines) if line.startswith("epoch")
    )
    assert sum(line.startswith("epoch ") for line in lines) == 2


STATE = TrainState(epoch=12, step=12_345, seconds=1234.5, is_best=True)
METRICS = {
    "examples": 1000, "accuracy": 0.81234, "accuracy_low": 0.8, "accuracy_high": 0.82,
    "baselines": {"majority": 0.5}, "f1": 0.7, "loss": 0.4321, "mae": 4321.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (
            80,
            "epoch 12, step 12345, 1234 s: accuracy 0.8123 (0.8000 to 0.8200), loss 0.4321 *",
        ),
        (70, "epoch 12, step 12345, 1234 s: accuracy 0.8123 (0.8000 to 0.8200) *"),
        (50, "epoch 12, step 12345, 1234 s: accuracy 0.8123 *"),
    ],
)
def test_the_line_of_an_evaluation_fits_the_terminal(width: int, line: str) -> None:
    assert format_evaluation(STATE, METRICS, "accuracy", width) == line


def test_the_line_of_an_evaluation_names_the_monitored_metric_alone() -> None:
    plain = TrainState(epoch=1, step=10, seconds=0.4)
    assert format_evaluation(plain, METRICS, "loss", 80) == "epoch 1, step 10, 0 s: loss 0.4321"
    line = format_evaluation(plain, METRICS, "mae", 80)
    assert line == "epoch 1, step 10, 0 s: mae 4,321.5, loss 0.4321"
