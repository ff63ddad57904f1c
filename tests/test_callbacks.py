"""Callbacks: when they are called and with what, how they stop a training, and what failures do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Install, StopAfter
from conftest import Run as Command
from safetensors.torch import load_file
from sum_task import Recorder, equal, registered

import zoo
import zoo.api
from zoo.errors import PluginError, UsageError, ZooWarning

Train = Callable[..., zoo.Run]
SETTINGS = ("hidden_size=3", "steps=6", "evaluate_every=3", "log_every=2", "learning_rate=0.01")


class Calls(zoo.Callback):
    """Keeps the calls, each with the step that it came at, and what was passed."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.passed: dict[str, list[Any]] = {}

    def _note(self, method: str, trainer: Any, *arguments: Any) -> None:
        self.calls.append((method, trainer.state.step))
        self.passed.setdefault(method, []).append(arguments)

    def on_train_begin(self, trainer: Any) -> None:
        self._note("begin", trainer)

    def on_step_end(self, trainer: Any) -> None:
        self._note("step", trainer)

    def on_log(self, trainer: Any, metrics: dict[str, Any]) -> None:
        self._note("log", trainer, metrics)

    def on_evaluate(self, trainer: Any, metrics: dict[str, Any]) -> None:
        self._note("evaluate", trainer, metrics)

    def on_checkpoint(self, trainer: Any, path: Path) -> None:
        self._note("checkpoint", trainer, path)

    def on_train_end(self, trainer: Any) -> None:
        self._note("end", trainer)


@dataclass(frozen=True)
class StopperOptions(zoo.Options):
    after: int = zoo.option(4, "steps after which training stops", minimum=1)
    reason: str = zoo.option("enough", "what is said")


class Stopper(zoo.Callback):
    def __init__(self, options: StopperOptions) -> None:
        self.options = options

    def on_step_end(self, trainer: Any) -> None:
        if trainer.state.step == self.options.after:
            trainer.stop(self.options.reason)


STOPPER = zoo.CallbackInfo(name="stopper", summary="Stops", target=Stopper, options=StopperOptions)
NO_CALLBACK = zoo.CallbackInfo(name="no-callback", summary="Is none", target=lambda options: 3)


@pytest.fixture(autouse=True)
def sum_task() -> Iterator[None]:
    with registered(STOPPER, NO_CALLBACK):
        yield


@pytest.fixture
def uninterrupted(train_here: Train, tmp_path: Path) -> Path:
    """A run of the settings above that nothing stops."""
    return train_here("sum/lstm", tmp_path / "uninterrupted", *SETTINGS).path


def same_weights(one: Path, other: Path) -> bool:
    name = "weights.safetensors"
    return (one / name).read_bytes() == (other / name).read_bytes()


def test_the_order_of_calls(train_here: Train, tmp_path: Path) -> None:
    calls = Calls()
    train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=[calls])
    assert calls.calls == [
        ("begin", 0),
        ("step", 1),
        ("step", 2), ("log", 2),
        ("step", 3), ("evaluate", 3), ("checkpoint", 3),
        ("step", 4), ("log", 4),
        ("step", 5),
        ("step", 6), ("log", 6), ("evaluate", 6), ("checkpoint", 6),
        ("end", 6),
    ]  # fmt: skip
    assert calls.passed["checkpoint"] == [(tmp_path / "run" / "checkpoint.safetensors",)] * 2


def test_callbacks_are_called_one_after_the_other_after_those_of_every_run(
    train_here: Train, tmp_path: Path
) -> None:
    seen: list[tuple[str, bool, bool]] = []

    class Looks(zoo.Callback):
        def __init__(self, name: str) -> None:
            self.name = name

        def on_evaluate(self, trainer: Any, metrics: dict[str, Any]) -> None:
            files = trainer.directory
            seen.append((self.name, files.weights.exists(), files.metrics.exists()))

    train_here(
        "sum/lstm", tmp_path / "run", *SETTINGS, "steps=1", callbacks=[Looks("a"), Looks("b")]
    )
    assert seen == [("a", True, True), ("b", True, True)]


def test_a_callback_sees_learning_rate_training_and_validation_metrics(
    train_here: Train, tmp_path: Path
) -> None:
    calls = Calls()
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, "schedule=linear", callbacks=[calls])
    logs = [metrics for (metrics,) in calls.passed["log"]]
    # The rate that the last of the steps was made with.
    assert [log["learning_rate"] for log in logs] == pytest.approx(
        [0.01 * (1 - step / 6) for step in (1, 3, 5)]
    )
    assert [log["examples"] for log in logs] == [64, 64, 64]  # Two batches of 32 each.
    for log in logs:
        assert log["loss"] > 0
        assert log["batch_loss"] > 0
        assert log["rows_per_second"] > 0
    evaluations = [metrics for (metrics,) in calls.passed["evaluate"]]
    assert [metrics["examples"] for metrics in evaluations] == [40, 40]
    history = run.history
    for key, found in (("train", logs), ("evaluation", evaluations)):
        stored = [
            loss for kind, loss in zip(history["kind"], history["loss"], strict=True) if kind == key
        ]
        assert stored == [metrics["loss"] for metrics in found]


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_a_stopped_run_resumes_bit_for_bit(
    step: int, train_here: Train, uninterrupted: Path, tmp_path: Path
) -> None:
    calls = Calls()
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=[StopAfter(step), calls])
    assert run.interrupted
    assert run.stop_reason == "the test stops here"
    evaluated = [("evaluate", 3)] if step == 3 else []
    assert calls.calls[-2 - len(evaluated) :] == [
        *evaluated, ("checkpoint", step), ("end", step)
    ]  # fmt: skip
    again = Calls()
    resumed = train_here("sum/lstm", tmp_path / "run", resume=True, callbacks=[again])
    assert not resumed.interrupted
    assert again.calls[:2] == [("begin", step), ("step", step + 1)]
    assert same_weights(tmp_path / "run", uninterrupted)


class CompleteAt(zoo.Callback):
    """Completes the training from one of the methods."""

    def __init__(self, method: str, step: int) -> None:
        self.method, self.step = method, step

    def _stop(self, method: str, trainer: Any) -> None:
        if (method, trainer.state.step) == (self.method, self.step):
            trainer.stop("good enough", complete=True)

    def on_step_end(self, trainer: Any) -> None:
        self._stop("step", trainer)

    def on_log(self, trainer: Any, metrics: dict[str, Any]) -> None:
        self._stop("log", trainer)

    def on_evaluate(self, trainer: Any, metrics: dict[str, Any]) -> None:
        self._stop("evaluate", trainer)

    def on_checkpoint(self, trainer: Any, path: Path) -> None:
        self._stop("checkpoint", trainer)


@pytest.mark.parametrize(
    ("method", "step"), [("step", 2), ("log", 2), ("evaluate", 3), ("checkpoint", 3)]
)
def test_a_completed_run_is_evaluated_and_does_not_resume(
    method: str, step: int, train_here: Train, tmp_path: Path
) -> None:
    calls = Calls()
    run = train_here(
        "sum/lstm", tmp_path / "run", *SETTINGS, callbacks=[CompleteAt(method, step), calls]
    )
    assert not run.interrupted
    assert run.stop_reason == "good enough"
    assert [at for name, at in calls.calls if name == "evaluate"] == [step]
    assert run.model.info["metrics"]["validation"]["step"] == step
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    again = Calls()
    assert not train_here("", run.path, resume=True, callbacks=[again]).interrupted
    assert again.calls == [("begin", step), ("end", step)]
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before


class Broken(zoo.Callback):
    """Raises in one of the methods, at a step."""

    def __init__(self, method: str, step: int) -> None:
        self.method, self.step = method, step

    def __getattribute__(self, name: str) -> Any:
        if name == object.__getattribute__(self, "method"):
            return self._fail
        return object.__getattribute__(self, name)

    def _fail(self, trainer: Any, *arguments: Any) -> None:
        if trainer.state.step >= self.step:
            raise ZeroDivisionError("of the callback")


@pytest.mark.parametrize(
    ("method", "step"),
    [
        ("on_train_begin", 0),
        ("on_step_end", 1),
        ("on_step_end", 4),
        ("on_log", 2),
        ("on_evaluate", 3),
        ("on_evaluate", 6),
        ("on_checkpoint", 3),
        ("on_train_end", 6),
    ],
)
def test_a_callback_that_raises_ends_the_run_which_resumes(
    method: str, step: int, train_here: Train, uninterrupted: Path, tmp_path: Path
) -> None:
    with pytest.raises(PluginError) as failure:
        train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=[Broken(method, step)])
    message = str(failure.value)
    assert message.startswith(f"callback Broken failed in {method}, step {step}: ")
    assert "ZeroDivisionError: of the callback" in message
    assert failure.value.exit_code == 3
    assert isinstance(failure.value.__cause__, ZeroDivisionError)
    assert not train_here("", tmp_path / "run", resume=True).interrupted
    assert same_weights(tmp_path / "run", uninterrupted)


@pytest.mark.parametrize("step", [0, 3])
def test_callbacks_are_closed_also_after_an_error(
    step: int, train_here: Train, tmp_path: Path
) -> None:
    class Closes(zoo.Callback):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    closes = Closes()
    failing = [Broken("on_step_end", step)] if step else []
    try:
        train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=[closes, *failing])
    except PluginError:
        assert failing
    assert closes.closed == 1


def test_evaluations_of_weights_that_are_replaced_are_dropped(
    train_here: Train, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train_here("sum/lstm", out, *SETTINGS, "selection=last", stop_after=4)
    zoo.api.evaluate(out, split="validation", threads=1, progress=False)
    assert "step" not in zoo.open_run(out).metrics["validation"]  # The evaluation, not the log.
    run = train_here("", out, resume=True)
    assert run.metrics["validation"]["step"] == 6
    zoo.api.evaluate(out, threads=1, progress=False)  # Another split: both are kept now.
    assert sorted(zoo.open_run(out).metrics) == ["test", "validation"]
    assert run.metrics["validation"]["step"] == 6


def test_errors_of_zoo_pass_through_a_callback(train_here: Train, tmp_path: Path) -> None:
    class Refuses(zoo.Callback):
        def on_train_begin(self, trainer: Any) -> None:
            raise UsageError("not today")

    with pytest.raises(UsageError, match=r"^not today$"):
        train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=[Refuses()])


PLUGIN = """
import zoo

class Bell(zoo.Callback):
    def __init__(self, options):
        pass

    def on_step_end(self, trainer):
        raise RuntimeError("no bell")

@zoo.hookimpl
def zoo_callbacks():
    return [zoo.CallbackInfo(name="bell", summary="Rings", target="zoo_bell:Bell")]
"""


def test_a_callback_that_raises_has_the_exit_code_of_plugins(
    install_plugin: Install, zoo_here: Command, tmp_path: Path
) -> None:
    install_plugin("zoo-bell", PLUGIN)
    done = zoo_here(
        "train", "sentiment/rnn", "--steps", 2, "--set", "hidden_size=2", "--threads", 1,
        "--out", tmp_path / "run", "--callback", "bell",
    )  # fmt: skip
    assert done.returncode == 3
    assert (
        "error: callback Bell failed in on_step_end, step 1: RuntimeError: no bell" in done.stderr
    )
    assert "Traceback" not in done.stderr


def test_a_callback_named_by_string_has_its_options(
    train_here: Train, uninterrupted: Path, tmp_path: Path
) -> None:
    run = train_here(
        "sum/lstm", tmp_path / "run", *SETTINGS, "stopper.after=2", "reason=two steps",
        callbacks=["stopper"],
    )  # fmt: skip
    assert run.stop_reason == "two steps"
    config = json.loads((run.path / "config.json").read_text())
    assert config["callbacks"]["stopper"]["options"] == {"after": 2, "reason": "two steps"}
    resumed = zoo.resume(run.path, threads=1, progress=False)
    assert not resumed.interrupted
    expected = load_file(uninterrupted / "weights.safetensors")
    assert equal(load_file(run.path / "weights.safetensors"), expected)


def test_a_resumed_run_has_the_callbacks_that_it_names(train_here: Train, tmp_path: Path) -> None:
    train_here(
        "sum/lstm", tmp_path / "run", *SETTINGS, "after=4", callbacks=["stopper", StopAfter(2)]
    )
    run = zoo.resume(tmp_path / "run", threads=1, progress=False)
    assert run.interrupted
    assert run.stop_reason == "enough"


@pytest.mark.parametrize(
    ("callbacks", "settings", "error", "message"),
    [
        (["stoper"], (), UsageError, r"no callback 'stoper' \(did you mean 'stopper'\?\)"),
        (["stopper"], ("stopper.after=0",), UsageError, "stopper.after: 0 is less than 1"),
        (["no-callback"], (), PluginError, "target of callback 'no-callback' is no zoo.Callback"),
        ([Recorder], (), TypeError, "is not a zoo.Callback"),
        ([print], (), TypeError, "is not a zoo.Callback"),
    ],
)
def test_bad_callbacks_are_refused_before_anything_is_written(
    callbacks: list[Any],
    settings: tuple[str, ...],
    error: type[Exception],
    message: str,
    tmp_path: Path,
) -> None:
    pairs = dict(text.split("=") for text in (*SETTINGS, *settings))
    with pytest.raises(error, match=message):
        zoo.train(
            "sum/lstm", out=tmp_path / "run", settings=pairs, callbacks=callbacks, progress=False
        )
    assert not (tmp_path / "run").exists()


def test_early_stopping_counts_evaluations_without_improvement(
    train_here: Train, tmp_path: Path
) -> None:
    recorder = Recorder()
    run = train_here(
        "sum/lstm", tmp_path / "run", *SETTINGS, "steps=60", "learning_rate=0.5", "patience=2",
        callbacks=[recorder],
    )  # fmt: skip
    losses = [evaluation["loss"] for evaluation in recorder.evaluations]
    assert 3 < len(losses) < 20
    assert min(losses) == losses[-3]
    best = recorder.evaluations[-3]["step"]
    assert run.stop_reason == f"no improvement in 2 evaluations; the best was at step {best}"
    assert not run.interrupted


def test_callbacks_that_follow_a_complete_run_find_its_test_score(tmp_path: Path) -> None:
    found: list[tuple[str, object]] = []

    class Follower(zoo.Callback):
        def __init__(self, name: str) -> None:
            self.name = name

        def on_run_end(self, run: zoo.Run) -> str:
            found.append((self.name, run.metrics.get("test", {}).get("accuracy")))
            if self.name == "broken":
                raise RuntimeError("no disk")
            return f"{self.name} was here"

    followers = [Follower("first"), Follower("broken"), Follower("last")]
    with pytest.warns(ZooWarning, match="Follower failed at the end of the run: .*no disk"):
        run = zoo.train(
            "sample-lstm", out=tmp_path / "run", settings={"steps": 3}, callbacks=followers,
            progress=False,
        )  # fmt: skip
    assert run.test
    assert found == [(name, run.test["accuracy"]) for name in ("last", "broken", "first")]
    assert run.messages == ("last was here", "first was here")
    zoo.resume(tmp_path / "run", steps=4, callbacks=followers[:1], evaluate_test=False)
    assert found[-1] == ("first", None)
