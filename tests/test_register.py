"""zoo.register: what a program declares is trained, evaluated and exported as of a plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from conftest import Install, Run
from torch import Tensor, nn
from toy_task import TOY
from weights_reader import parse

import zoo
from zoo import installed
from zoo.errors import PluginError, UsageError, WeightsError
from zoo.interfaces import State
from zoo.records import ModelInfo, TaskInfo


@dataclass(frozen=True)
class LeakyOptions(zoo.Options):
    size: int = zoo.option(3, "units", minimum=1)


class Leaky(nn.Module):
    """A leaky integrator of a linear layer."""

    def __init__(self, input_size: int, options: LeakyOptions) -> None:
        super().__init__()
        self.options = options
        self.input_size, self.output_size = input_size, options.size
        self.linear = nn.Linear(input_size, options.size)
        self.leak = nn.Parameter(torch.zeros(options.size))

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        value = inputs.new_zeros(1, len(inputs), self.output_size) if state is None else state[0]
        steps = []
        for step, fed in enumerate(self.linear(inputs).unbind(1)):
            there = (step < lengths)[None, :, None]
            value = torch.where(there, value * self.leak.sigmoid() + fed, value)
            steps.append(value[0] * there[0])
        return torch.stack(steps, dim=1), (value,)


LEAKY = zoo.ModelInfo(
    name="leaky", summary="Leaky integrator", target=Leaky, causal=True, options=LeakyOptions
)


@pytest.fixture(autouse=True)
def fresh_registry() -> Iterator[None]:
    installed.forget()
    yield
    installed.forget()


@pytest.fixture
def run(train_here: Callable[..., zoo.Run], tmp_path: Path) -> zoo.Run:
    zoo.register(TOY, LEAKY)
    return train_here("toy/leaky", tmp_path / "run", "size=5", "length=6", "epochs=3")


def test_a_registered_class_is_listed_and_built() -> None:
    zoo.register(TOY, LEAKY)
    assert "leaky" in zoo.list_models()
    assert "toy" in zoo.list_tasks()
    model = zoo.create_model("leaky", 2, size=4)
    assert isinstance(model, Leaky)
    assert model.options == LeakyOptions(size=4)


def test_registered_classes_train_evaluate_and_export(run: zoo.Run, tmp_path: Path) -> None:
    losses = [loss for loss in run.history["loss"] if loss is not None]
    assert losses[-1] < losses[0]
    scores = run.model.evaluate("sample")
    assert scores["examples"] == 12
    run.model.save(tmp_path / "toy.safetensors")
    header, tensors = parse(tmp_path / "toy.safetensors")
    assert header["run"]["model"]["options"] == {"size": 5}
    assert header["run"]["task"]["options"] == {"length": 6}
    assert {name for name in tensors if name.startswith("rnn.")} == {
        "rnn.linear.weight", "rnn.linear.bias", "rnn.leak",
    }  # fmt: skip
    again = zoo.load(tmp_path / "toy.safetensors")
    assert isinstance(again.module.rnn, Leaky)
    assert again.evaluate("sample")["loss"] == scores["loss"]


def test_a_registered_model_works_in_an_installed_task(
    train_here: Callable[..., zoo.Run], tmp_path: Path, text_file: Path
) -> None:
    zoo.register(LEAKY)
    run = train_here("char-lm/leaky", tmp_path / "run", "size=4", "steps=2", data=text_file)
    assert run.model.generate("The ", 5).startswith("The ")


@pytest.mark.parametrize(("known", "missing"), [((), "task 'toy'"), ((TOY,), "model 'leaky'")])
def test_where_it_is_not_registered_the_message_says_what_is_missing(
    run: zoo.Run, known: tuple[zoo.TaskInfo, ...], missing: str
) -> None:
    installed.forget()
    zoo.register(*known)
    pattern = rf"{missing} is not declared in \S+: it was registered by .*zoo\.register"
    with pytest.raises(PluginError, match=pattern):
        zoo.load(run.path)
    with pytest.raises(UsageError, match=f"no {missing}"):
        zoo.resume(run.path)


def test_another_process_says_what_is_missing(run: zoo.Run, zoo_command: Run) -> None:
    done = zoo_command("evaluate", run.path / "weights.safetensors", "--data", "sample")
    assert done.returncode == 3
    assert "task 'toy' is not declared" in done.stderr
    assert "registered" in done.stderr
    assert "pip install" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_options_that_changed_since_are_named(run: zoo.Run) -> None:
    @dataclass(frozen=True)
    class Renamed(zoo.Options):
        units: int = zoo.option(3, "units", minimum=1)

    installed.forget()
    zoo.register(TOY, replace(LEAKY, options=Renamed))
    pattern = (
        r"model 'leaky' was made by a program: program: leaky does not take its options: "
        "there is no option 'size'"
    )
    with pytest.raises(WeightsError, match=pattern) as failed:
        zoo.load(run.path)
    assert "pip install" not in str(failed.value)


def test_registering_a_name_again_replaces_it_unless_a_plugin_declares_it() -> None:
    zoo.register(LEAKY)
    zoo.register(replace(LEAKY, summary="another"))
    assert installed.registry().get(zoo.ModelInfo, "leaky").summary == "another"
    assert [p.name for p in installed.registry().plugins].count("program: leaky") == 1
    with pytest.raises(ValueError, match=r"a plugin declares model 'lstm' already"):
        zoo.register(replace(LEAKY, name="lstm"))


@pytest.mark.parametrize(
    ("record", "error", "message"),
    [
        (Leaky, TypeError, r"no record such as zoo\.ModelInfo"),
        (replace(LEAKY, name="a/b"), ValueError, "model 'a/b': names have"),
        (replace(LEAKY, name=""), TypeError, "the name of a model is not a string"),
        (
            replace(LEAKY, options=cast(Any, dict)),
            TypeError,
            r"options is .*not a subclass of zoo\.Options",
        ),
        (
            replace(LEAKY, options=type("Plain", (zoo.Options,), {"__annotations__": {"a": int}})),
            TypeError,
            "'a' of Plain is not a field",
        ),
        (
            replace(TOY, submodels={"training": zoo.Submodel("", default="gru")}),
            ValueError,
            "'training' already",
        ),
    ],
)
def test_a_malformed_record_is_refused_and_nothing_is_registered(
    record: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        zoo.register(record)
    assert not {"leaky", "a/b", ""} & set(installed.registry().names(ModelInfo))
    assert "toy" not in installed.registry().names(TaskInfo)


STRANGER = """
import zoo
@zoo.hookimpl
def zoo_models():
    return [zoo.ModelInfo(name="lstm", summary="", target="nowhere:Nothing", causal=True)]
@zoo.hookimpl
def zoo_tasks():
    return [zoo.TaskInfo(name="sentiment", summary="", target="nowhere:Nothing", monitor="loss",
                         higher_is_better=False)]
"""


def test_weights_load_although_another_plugin_declares_the_same_names(
    sentiment_run: Path, install_plugin: Install
) -> None:
    install_plugin("zoo-stranger", STRANGER)
    assert installed.registry().clashes == ["lstm", "sentiment"]
    model = zoo.load(sentiment_run)
    assert model.spec.task.info.plugin is not None
    assert model.spec.task.info.plugin.distribution == "seqzoo"
    assert model.verify() < 1e-4


def test_the_distribution_chooses_what_is_trained(
    install_plugin: Install, train_here: Callable[..., zoo.Run], tmp_path: Path
) -> None:
    install_plugin("zoo-stranger", STRANGER)
    with pytest.raises(PluginError, match="'sentiment' is ambiguous"):
        train_here("sentiment/lstm", tmp_path / "run")
    run = train_here("seqzoo:sentiment/seqzoo:lstm", tmp_path / "run", "steps=2", stop_after=1)
    assert run.interrupted
    assert run.config["task"]["distribution"] == "seqzoo"
    run = train_here("", tmp_path / "run", resume=True)
    assert not run.interrupted
    assert run.model.name == "seqzoo:sentiment/seqzoo:lstm"


def test_registered_optimizers_schedules_and_callbacks_are_used(
    train_here: Callable[..., zoo.Run], tmp_path: Path
) -> None:
    steps = []

    class Counts(zoo.Callback):
        def __init__(self, options: zoo.Options) -> None:
            del options

        def on_step_end(self, trainer: Any) -> None:
            steps.append(trainer.optimizer.param_groups[0]["lr"])

    def rprop(groups: Any, learning_rate: float, options: zoo.Options) -> torch.optim.Optimizer:
        del options
        return torch.optim.Rprop(groups, learning_rate)

    def halving(optimizer: Any, total_steps: int, options: zoo.Options) -> Any:
        assert total_steps == 3
        del options
        return torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)

    zoo.register(
        TOY,
        zoo.CallbackInfo(name="counts", summary="", target=Counts),
        zoo.OptimizerInfo(name="rprop", summary="", target=rprop),
        zoo.SchedulerInfo(name="halving", summary="", target=halving),
    )
    run = train_here(
        "toy/gru", tmp_path / "run", "optimizer=rprop", "schedule=halving", "steps=3",
        "learning_rate=0.5", callbacks=["counts"],
    )  # fmt: skip
    assert steps == [0.5, 0.25, 0.125]
    assert run.config["optimizer"]["name"] == "rprop"
    assert run.config["callbacks"]["counts"] == {
        "name": "counts", "options": {}, "distribution": "", "version": "",
    }  # fmt: skip
