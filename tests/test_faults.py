"""What goes wrong in a training has a line that says what, where and whose fault it is."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from sum_task import TASK, InOrder, Recorder, Sum, SumOptions, equal, registered
from test_resume import Kill, KilledError, assert_same, checkpoint
from torch import Tensor, nn

import zoo
from zoo import installed
from zoo.engine import memory
from zoo.errors import DataError, DivergedError, PluginError, UsageError, WeightsError, ZooWarning
from zoo.interfaces import Batch, Data, Evaluate, Metrics, MetricSums, Split, State, Step

Train = Callable[..., zoo.Run]
SETTINGS = ("hidden_size=3", "steps=6", "evaluate_every=3", "log_every=2", "learning_rate=0.01")


@pytest.fixture(autouse=True)
def sums() -> Iterator[None]:
    with registered():
        yield


def use(task: type[Sum]) -> None:
    installed.forget()
    zoo.register(replace(TASK, target=task))


class Mute(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise ValueError


FAULTS = [ValueError("bad\nvalue"), KeyError("x"), IndexError(), RecursionError("deep"), OSError(5),
          Mute(), SystemExit(0), AssertionError("no")]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_fault_of_a_step_names_task_step_and_line(
    fault: BaseException, train_here: Train, tmp_path: Path
) -> None:
    class Faulty(Sum):
        def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
            if network.training and batch.targets[0] == self.third:
                raise fault
            return super().step(network, batch, state)

        def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
            data = super().prepare(path, seed, fit=fit)
            self.third = data.splits["train"].train_batches(1, 0, 32)[2].targets[0]
            return data

    use(Faulty)
    with pytest.raises(PluginError) as failure:
        train_here("sum/lstm", tmp_path / "run", *SETTINGS)
    message = str(failure.value)
    expected = r"step of task 'sum' failed in step 3, epoch 0: " + type(fault).__name__
    assert re.match(expected, message), message
    assert re.search(r"\(test_faults\.py, line \d+\)$", message), message
    assert "\n" not in message


@pytest.mark.parametrize("fault", [MemoryError("big"), RuntimeError("[x] can't allocate memory")])
def test_missing_memory_is_no_fault_of_a_plugin(
    fault: Exception, train_here: Train, tmp_path: Path
) -> None:
    class Large(Sum):
        def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
            raise fault

    use(Large)
    with pytest.raises(MemoryError):
        train_here("sum/lstm", tmp_path / "run", *SETTINGS)


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        (lambda loss: loss.expand(2), r"its loss has the shape \(2,\) and must be a scalar"),
        (lambda loss: loss.detach(), "it has no gradient"),
        (lambda loss: loss.detach().long(), "its loss is int64, not floating point"),
        (lambda loss: float(loss.detach()), "its loss is a float, not a tensor"),
    ],
)
def test_a_loss_that_cannot_be_trained_on(
    loss: Callable[[Tensor], Any], why: str, train_here: Train, tmp_path: Path
) -> None:
    class Odd(Sum):
        def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
            step = super().step(network, batch, state)
            return replace(step, loss=loss(step.loss))

    use(Odd)
    with pytest.raises(PluginError, match=f"step of task 'sum' returned what cannot.*{why}"):
        train_here("sum/lstm", tmp_path / "run", *SETTINGS)


@pytest.mark.parametrize("part", ["prepare", "network", "metrics", "evaluate", "train_batches"])
def test_a_fault_of_another_part_names_it(part: str, train_here: Train, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise KeyError("label")

    class Faulty(Sum):
        def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
            data = super().prepare(path, seed, fit=fit)
            if part == "train_batches":
                data.splits["train"].train_batches = fail  # type: ignore[method-assign]
            return data

    if part != "train_batches":
        setattr(Faulty, part, fail)
    use(Faulty)
    with pytest.raises(PluginError, match=rf"^{part} .*failed.*: KeyError: 'label' \(test_faults"):
        train_here("sum/lstm", tmp_path / "run", *SETTINGS)


def test_a_task_that_fails_has_the_exit_code_of_plugins(tmp_path: Path, zoo_here: Run) -> None:
    class Faulty(Sum):
        def metrics(self, metric_sums: MetricSums) -> Metrics:
            return {"loss": metric_sums["nothing"]}

    use(Faulty)
    done = zoo_here("train", "sum/lstm", "--steps", 2, "--out", tmp_path / "run")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("error: metrics of task 'sum' failed in step ")


# Values that are not finite


class Undefined(Sum):
    """Has a metric that is NaN by definition, such as a ROC area where there is one class."""

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        return {**super().metrics(metric_sums), "roc": math.nan}


def test_a_metric_without_a_value_is_no_divergence(train_here: Train, tmp_path: Path) -> None:
    use(Undefined)
    with (
        pytest.warns(ZooWarning, match="training roc is not finite at step 2 and left out"),
        pytest.raises(
            PluginError, match=r"validation roc is nan in step 3: .*the metric"
        ) as failure,
    ):
        train_here("sum/lstm", tmp_path / "run", *SETTINGS)
    assert "diverged" not in str(failure.value)
    (line,) = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    assert "roc" not in line
    assert math.isfinite(line["loss"])


def test_a_checkpoint_that_is_not_finite_replaces_no_good_one(
    train_here: Train, tmp_path: Path
) -> None:
    class Spoil(zoo.Callback):
        def on_log(self, trainer: Any, metrics: Metrics) -> None:
            with torch.no_grad():
                trainer.network.fc.bias.fill_(math.inf)

    out = tmp_path / "run"
    settings = (*SETTINGS[:2], "evaluate_every=99", "log_every=4", "checkpoint_every=1e-9")
    with pytest.raises(DivergedError, match=r"parameter fc\.bias is not finite in step 4"):
        train_here("sum/lstm", out, *settings, callbacks=[Spoil()])
    assert checkpoint(out)[0]["state"]["step"] == 3
    assert not train_here("", out, resume=True).interrupted


# Splits that run dry


@dataclass(frozen=True)
class DryOptions(SumOptions):
    epochs: int = zoo.option(1, "epochs that have batches")


class DrySplit(InOrder):
    def __init__(self, split: Any, epochs: int) -> None:
        super().__init__(split.inputs, split.targets)
        self.epochs = epochs

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> list[Batch]:
        found = super().train_batches(seed, epoch, batch_size)
        return found if epoch < self.epochs else []

    def eval_batches(self) -> list[Batch]:
        return super().eval_batches() if self.epochs < 3 else []


class Dry(Sum):
    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        data = super().prepare(path, seed, fit=fit)
        epochs = self.options.epochs  # type: ignore[attr-defined]
        splits = {name: DrySplit(split, epochs) for name, split in data.splits.items()}
        return replace(data, splits=splits)


@pytest.mark.parametrize(
    ("epochs", "said"),
    [
        (0, "the training split is empty in random rows: epoch 0 has no batches"),
        (1, "the training split is empty in random rows: epoch 1 has no batches"),
        (3, "the split has no batches: it has 40 examples"),
    ],
)
def test_an_epoch_without_batches_ends_the_training(
    epochs: int, said: str, train_here: Train, tmp_path: Path
) -> None:
    installed.forget()
    zoo.register(replace(TASK, target=Dry, options=DryOptions))
    settings = ("hidden_size=3", "training.epochs=3", f"task.epochs={epochs}", "accumulate=2")
    with pytest.raises(DataError, match=f"^{said}"):
        train_here("sum/lstm", tmp_path / "run", *settings)


def test_an_epoch_that_has_become_smaller_is_not_resumed(train_here: Train, tmp_path: Path) -> None:
    train_here("sum/lstm", tmp_path / "run", "hidden_size=3", "epochs=2", stop_after=4)

    class Smaller(Sum):
        def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
            data = super().prepare(path, seed, fit=fit)
            train = data.splits["train"]
            assert isinstance(train, InOrder)
            return replace(
                data, splits={**data.splits, "train": InOrder(train.inputs[:99], train.targets)}
            )

    use(Smaller)
    with pytest.raises(DataError, match="epoch 0 has 4 batches and had more than 4"):
        train_here("", tmp_path / "run", resume=True)


# Networks that are too large


def test_networks_that_do_not_fit_are_refused_at_once(
    train_here: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with pytest.raises(UsageError, match="num_layers: 1000000 is more than 64"):
        train_here("sum/lstm", out, "num_layers=1000000")
    monkeypatch.setattr(memory, "_available", lambda: 1 << 20)
    with pytest.raises(MemoryError, match=r"takes more than .* GiB, and 0\.0 GiB are free"):
        train_here("sum/lstm", out, "hidden_size=300")
    train_here("sum/lstm", out, "hidden_size=3", "steps=1")
    monkeypatch.undo()
    for size, said in ((10**7, "GiB are free"), (10**18, "the network is too large")):
        with pytest.raises(MemoryError, match=said):
            train_here("sum/lstm", tmp_path / "b", f"hidden_size={size}")
        with pytest.raises(MemoryError, match=said):
            zoo.create_model("gru", 2, hidden_size=size)

    class Layers(Sum):
        def network(self, build_model: Any) -> nn.Module:
            return nn.ModuleList(nn.Linear(1, 1) for _ in range(10**9))

    use(Layers)
    with pytest.raises(UsageError, match=r"more than 20,000 tensors"):
        train_here("sum/lstm", tmp_path / "b")


# Signals


class SlowSplit(InOrder):
    """A split whose evaluation takes half a minute."""

    def eval_batches(self) -> Any:
        def batches() -> Iterator[Batch]:
            for _ in range(300):
                time.sleep(SECONDS[0])
                yield self.batch(0, len(self.inputs))

        return batches()


SECONDS = [0.0]


class SlowlyEvaluated(Sum):
    """Draws random numbers in evaluations and calibrates a buffer by the validation split."""

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        data = super().prepare(path, seed, fit=fit)
        validation = data.splits["validation"]
        assert isinstance(validation, InOrder)
        slow = SlowSplit(validation.inputs, validation.targets)
        return replace(data, splits={**data.splits, "validation": slow})

    def network(self, build_model: Any) -> nn.Module:
        network = super().network(build_model)
        network.register_buffer("calls", torch.zeros(()))
        return network

    def calibrate(self, network: nn.Module, split: Split) -> None:
        assert isinstance(network.calls, Tensor)
        network.calls += 1

    def evaluate(self, split: Split, evaluate: Evaluate) -> Metrics:
        torch.rand(3)
        return evaluate(split)


class Alarm(zoo.Callback):
    """Sends this process a signal some time after a step."""

    def __init__(self, step: int, seconds: float = 0.3) -> None:
        self.step, self.seconds = step, seconds

    def on_step_end(self, trainer: Any) -> None:
        if trainer.state.step == self.step:
            SECONDS[0] = 0.1
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
            signal.setitimer(signal.ITIMER_REAL, self.seconds)


@pytest.mark.parametrize("step", [3, 6])
def test_a_signal_ends_an_evaluation_which_is_made_when_the_run_is_resumed(
    step: int, train_here: Train, tmp_path: Path
) -> None:
    use(SlowlyEvaluated)
    settings = (*SETTINGS, "initial_state=random", "average=0.5", "schedule=plateau")
    train_here("sum/lstm", tmp_path / "whole", *settings)
    run = train_here("sum/lstm", tmp_path / "run", *settings, callbacks=[Alarm(step)])
    SECONDS[0] = 0.0
    assert run.interrupted
    assert run.stop_reason == "interrupted"
    header, _ = checkpoint(run.path)
    assert (header["state"]["step"], header["evaluated"]) == (step, step - 3)
    torch.manual_seed(77)
    assert not train_here("", run.path, resume=True).interrupted
    assert_same(run.path, tmp_path / "whole")


def test_a_signal_in_the_first_step_ends_the_training_before_it(
    train_here: Train, tmp_path: Path
) -> None:
    class Compiles(Sum):
        def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
            torch.rand(1)
            if network.training and os.environ.get("SIGNALLED") != "yes":
                os.environ["SIGNALLED"] = "yes"
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(60)
            return super().step(network, batch, state)

    use(Compiles)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGNALLED", "no")
        run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, check=False)
        assert run.interrupted
        assert not (run.path / "checkpoint.safetensors").exists()
        assert not train_here("", run.path, resume=True).interrupted
        train_here("sum/lstm", tmp_path / "whole", *SETTINGS)
    assert_same(run.path, tmp_path / "whole")


def test_the_second_signal_ends_at_once(train_here: Train, tmp_path: Path) -> None:
    class Twice(zoo.Callback):
        def on_step_end(self, trainer: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=[Twice()])


# What is shown, and the log


class Gone:
    """A stderr whose reader has ended."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


class GoneTerminal(Gone):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Gone(), GoneTerminal(), None], ids=["pipe", "terminal", "none"])
def test_a_training_that_nobody_sees_goes_on(
    stream: Any, train_here: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    monkeypatch.setattr(sys, "stderr", stream)
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, progress=True, callbacks=[recorder])
    assert not run.interrupted
    assert run.test
    monkeypatch.undo()
    train_here("sum/lstm", tmp_path / "seen", *SETTINGS)
    for file in ("weights.safetensors", "config.json"):
        assert (run.path / file).read_bytes() == (tmp_path / "seen" / file).read_bytes()
    assert equal(recorder.parameters[-1], recorder.network.state_dict())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"[1]\n", "it is no JSON object"),
        (b'{"step": 1}\n', "it has no kind"),
        (b'{"kind": "train", "step": "1"}\n', "it has no step"),
        (b"\xff\xfe\n", "codec can't decode"),
        (b"{\n", "Expecting property name"),
        (b"[" * 100_000 + b"\n", "recursion"),
    ],
)
def test_a_damaged_line_of_the_log_is_named(
    line: bytes, why: str, train_here: Train, tmp_path: Path
) -> None:
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, stop_after=4)
    metrics = run.path / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes() + line)
    for use_of_it in (lambda: run.history, lambda: train_here("", run.path, resume=True)):
        with pytest.raises(
            WeightsError, match=rf"jsonl, line 4: .*{why}.*remove this line"
        ) as said:
            use_of_it()
        assert "\n" not in str(said.value)


def test_the_log_of_a_resumed_run_is_that_of_one_that_never_stopped(
    train_here: Train, tmp_path: Path
) -> None:
    """Also where it is stopped between two lines, whose means are over all steps in between."""
    settings = ("hidden_size=3", "epochs=3", "accumulate=2", "log_every=4", "checkpoint_every=1e-9")
    train_here("sum/lstm", tmp_path / "whole", *settings)
    with pytest.raises(KilledError):
        train_here("sum/lstm", tmp_path / "run", *settings, callbacks=[Kill(3)])
    assert checkpoint(tmp_path / "run")[0]["state"]["step"] == 2
    train_here("", tmp_path / "run", resume=True)
    logs = [
        [line.get("loss") for line in map(json.loads, (out / "metrics.jsonl").open())]
        for out in (tmp_path / "whole", tmp_path / "run")
    ]
    assert logs[0] == logs[1]
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_checkpoints_are_written_between_evaluations(train_here: Train, tmp_path: Path) -> None:
    steps: list[int] = []

    class Note(zoo.Callback):
        def on_checkpoint(self, trainer: Any, path: Path) -> None:
            steps.append(trainer.state.step)

    clock = [0.0]

    class Clock(zoo.Callback):
        def on_step_end(self, trainer: Any) -> None:
            clock[0] += 100

    settings = ("hidden_size=3", "steps=12", "evaluate_every=10", "checkpoint_every=250")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: clock[0])
        train_here("sum/lstm", tmp_path / "run", *settings, callbacks=[Note(), Clock()])
    assert steps == [3, 6, 9, 10, 12]
