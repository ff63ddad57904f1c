"""A run that is resumed to more epochs or steps than it was started with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from sum_task import Recorder, equal, registered
from toy_task import TOY

import zoo
from zoo import installed
from zoo.engine.run_directory import RunDirectory
from zoo.engine.trainer import Trainer
from zoo.errors import UsageError
from zoo.weights.file import read

Train = Callable[..., zoo.Run]
SETTINGS = ("hidden_size=3", "batch_size=16", "learning_rate=0.05", "optimizer=adam")


@pytest.fixture(autouse=True)
def sums() -> Iterator[None]:
    with registered():
        yield


def resume(out: Path, **more: Any) -> zoo.Run:
    return zoo.resume(out, device="cpu", threads=1, progress=False, **more)


@pytest.mark.parametrize(
    ("short", "unit", "number"), [("epochs=2", "epochs", 4), ("steps=7", "steps", 15)]
)
def test_an_extended_run_is_the_run_that_was_as_long_from_the_start(
    short: str, unit: str, number: int, train_here: Train, tmp_path: Path
) -> None:
    """Where the schedule does not depend on the length, nothing else does either."""
    settings = (*SETTINGS, "evaluate_every=5")
    whole = train_here("sum/lstm", tmp_path / "whole", *settings, f"{unit}={number}")
    train_here("sum/lstm", tmp_path / "run", *settings, short)
    extended = resume(tmp_path / "run", **{unit: number})
    assert not extended.interrupted
    assert extended.config["training"][unit] == number
    assert extended.history["step"][-1] == whole.history["step"][-1]
    assert equal(
        read(tmp_path / "run" / "weights.safetensors").tensors,
        read(tmp_path / "whole" / "weights.safetensors").tensors,
    )


def test_a_plateau_stays_where_it_is(train_here: Train, tmp_path: Path) -> None:
    settings = ("hidden_size=3", "learning_rate=1e-9", "schedule=plateau", "tolerance=0",
                "evaluate_every=1", "log_every=1")  # fmt: skip
    run = train_here("sum/lstm", tmp_path / "run", *settings, "steps=6")
    before = [rate for rate in run.history["learning_rate"] if rate is not None]
    extended = resume(tmp_path / "run", steps=8)
    after = [rate for rate in extended.history["learning_rate"] if rate is not None]
    assert after[:6] == before
    assert after[6] <= before[-1] <= 1e-9


def test_the_schedule_is_that_of_the_new_length(train_here: Train, tmp_path: Path) -> None:
    settings = (*SETTINGS, "schedule=linear", "log_every=1")
    train_here("sum/lstm", tmp_path / "run", *settings, "steps=4")
    whole = train_here("sum/lstm", tmp_path / "whole", *settings, "steps=10")
    extended = resume(tmp_path / "run", steps=10)
    rates = [
        [rate for rate in run.history["learning_rate"] if rate is not None]
        for run in (extended, whole)
    ]
    assert rates[0][4:] == pytest.approx(rates[1][4:])
    assert rates[0][:4] != pytest.approx(rates[1][:4])


def test_a_scheduler_that_keeps_its_length_is_made_anew(train_here: Train, tmp_path: Path) -> None:
    import torch

    def one_cycle(optimizer: Any, total_steps: int, options: zoo.Options) -> Any:
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=total_steps + 1)

    zoo.register(zoo.SchedulerInfo(name="torch-one-cycle", summary="", target=one_cycle))
    settings = ("hidden_size=3", "schedule=torch-one-cycle", "log_every=1")
    train_here("sum/lstm", tmp_path / "run", *settings, "steps=5")
    whole = train_here("sum/lstm", tmp_path / "whole", *settings, "steps=12")
    rates = [
        [rate for rate in run.history["learning_rate"] if rate is not None]
        for run in (resume(tmp_path / "run", steps=12), whole)
    ]
    assert rates[0][5:] == pytest.approx(rates[1][5:])


def test_an_unfinished_run_is_extended_and_resumes_again(train_here: Train, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_here("sum/lstm", out, *SETTINGS, "epochs=3", stop_after=12)
    resume(out, epochs=5, callbacks=[StopAt(25)])
    assert zoo.open_run(out).config["training"]["epochs"] == 5
    run = resume(out)
    assert not run.interrupted
    assert run.history["step"][-1] == 50


class StopAt(zoo.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, trainer: Any) -> None:
        if trainer.state.step == self.step:
            trainer.stop("the test stops here")


def test_what_was_stopped_early_goes_on_when_it_is_extended(
    train_here: Train, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run = train_here("sum/lstm", out, *SETTINGS[:2], "epochs=9", "patience=2", "learning_rate=1e-9",
                     "evaluate_every=1")  # fmt: skip
    assert "no improvement in 2 evaluations" in run.stop_reason
    stopped = run.history["step"][-1]
    assert resume(out).history["step"][-1] == stopped  # As it was asked for, it is complete.
    recorder = Recorder()
    resume(out, epochs=10, callbacks=[recorder])
    assert len(recorder.evaluations) >= 2
    recorder = Recorder()
    resume(out, epochs=10, callbacks=[recorder])  # The length that it has now.
    assert len(recorder.evaluations) >= 2


@pytest.mark.parametrize(
    ("where", "name"), [(RunDirectory, "rewrite_config"), (Trainer, "save_checkpoint")]
)
def test_an_extension_that_is_killed_can_be_done_again(
    where: object, name: str, train_here: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    train_here("sum/lstm", out, *SETTINGS, "epochs=2")
    with monkeypatch.context() as patched:
        patched.setattr(where, name, killed)
        with pytest.raises(KeyboardInterrupt):
            resume(out, epochs=4)
    assert resume(out).history["step"][-1] == 20
    assert resume(out, epochs=4).history["step"][-1] == 40


def killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("length", "said"),
    [
        ({"epochs": 1}, "the run has 2 epochs already in"),
        ({"steps": 3}, "give 20 or more"),
        ({"epochs": 3, "steps": 3}, "epochs and steps are both given"),
        ({"epochs": -1}, "the run cannot have this length: epochs: -1 is less than 1"),
    ],
)
def test_a_run_is_not_made_shorter_than_it_is(
    length: dict[str, int], said: str, train_here: Train, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train_here("sum/lstm", out, *SETTINGS, "epochs=2")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(UsageError, match=said):
        resume(out, **length)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_the_command_extends_and_says_so(tmp_path: Path, zoo_here: Run) -> None:
    zoo.register(TOY)
    out = tmp_path / "run"
    zoo_here("train", "toy/gru", "--epochs", 1, "--out", out)
    done = zoo_here("train", "--out", out, "--resume", "--epochs", 2)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("extended: 2 epochs in place of 1 epoch; the schedule is that of")
    assert json.loads((out / "config.json").read_text())["training"]["epochs"] == 2
    again = zoo_here("train", "toy/gru", "--out", out, "--resume", "--epochs", 2)
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout
    installed.forget()
