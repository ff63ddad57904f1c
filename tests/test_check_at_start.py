"""What a training checks before its first step: wrong models and tasks are told before an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from checked_models import (
    BatchNormalized,
    Elman,
    ForgetsState,
    HiddenOptions,
    LooksAhead,
    NonzeroPadding,
    ReadsPadding,
    TimeFirst,
    record,
)
from checked_tasks import NoMonitor, Sign
from checked_tasks import record as task_record
from conftest import Run
from torch import nn

import zoo
from zoo import installed
from zoo.errors import PluginError


@pytest.fixture
def models() -> Iterator[None]:
    installed.forget()
    wrong = (TimeFirst, ReadsPadding, NonzeroPadding, LooksAhead, ForgetsState, BatchNormalized)
    zoo.register(*(record(model, True, HiddenOptions) for model in (Elman, *wrong)))
    zoo.register(task_record(Sign), replace(task_record(NoMonitor), name="nomonitor"))
    yield
    installed.forget()


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("model", "check"),
    [
        (TimeFirst, "rows independent"),
        (ReadsPadding, "padding ignored"),
        (NonzeroPadding, "zero at padding"),
        (LooksAhead, "direction"),
        (ForgetsState, "state continues"),
    ],
)
def test_a_wrong_model_is_refused_and_nothing_is_written(
    model: type[nn.Module], check: str, tmp_path: Path
) -> None:
    name = f"sign/{model.__name__.lower()}"
    with pytest.raises(PluginError, match=f"fails the check of {check}.*--no-check"):
        zoo.train(name, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    run = zoo.train(name, out=tmp_path / "run", progress=False, check=False, settings={"steps": 2})
    assert not run.interrupted


@pytest.mark.usefixtures("models")
def test_a_task_without_the_metric_that_it_monitors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no metric 'loss' to monitor"):
        zoo.train("nomonitor/elman", out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("models")
def test_the_check_changes_nothing_of_the_training(tmp_path: Path) -> None:
    files = []
    for check in (True, False):
        torch.manual_seed(5)
        run = zoo.train(
            "sign/elman", out=tmp_path / str(check), progress=False, check=check, threads=1,
            settings={"steps": 8},
        )  # fmt: skip
        files.append((run.path / "weights.safetensors").read_bytes())
    assert files[0] == files[1]


def test_no_check_leaves_it_out(zoo_command: Run, tmp_path: Path) -> None:
    small = ("--steps", 2, "--set", "hidden_size=8", "--no-test", "--threads", 1)
    done = zoo_command("train", "sample-lstm", *small, "--no-check", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
