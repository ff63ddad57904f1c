"""Weights files of an earlier version of a plugin: old names, dropped options, upgrades."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from toy_task import TOY, Toy, ToyOptions
from weights_reader import before_digests, canonical, forge, parse, with_run

import zoo
from zoo import installed
from zoo.errors import WeightsError
from zoo.registry import Registry
from zoo.values import Value
from zoo.weights import file as weights_file
from zoo.weights import loading


@dataclass(frozen=True)
class LaterOptions(zoo.Options):
    """The options of a later version of the toy task: one is renamed, one is gone."""

    dropped: ClassVar[Mapping[str, Value]] = {"legacy": 0}

    steps: int = zoo.option(4, "numbers in a row", minimum=1, old_names=("length",))


@pytest.fixture
def file(train_here: Callable[..., zoo.Run], tmp_path: Path) -> Iterator[Path]:
    """A weights file of the toy task; the task is no longer registered."""
    installed.forget()
    zoo.register(TOY)
    run = train_here("toy/gru", tmp_path / "run", "length=6", "steps=2")
    installed.forget()
    yield run.path / "weights.safetensors"
    installed.forget()


class Later(Toy):
    """The toy task of that version."""

    def __init__(self, options: Any) -> None:
        super().__init__(ToyOptions(options.steps))


def later(**changes: Any) -> zoo.TaskInfo:
    return replace(TOY, target=Later, options=LaterOptions, **changes)


def test_old_names_and_dropped_options_need_no_upgrade(file: Path, tmp_path: Path) -> None:
    zoo.register(later())
    assert zoo.load(file).spec.task.options == LaterOptions(steps=6)
    header, tensors = parse(file)
    header = before_digests(header)
    for legacy, fits in ((0, True), (1, False)):
        task = header["run"]["task"]
        older = {**task, "options": {**task["options"], "legacy": legacy}}
        old = forge(tmp_path / "w", with_run(header, task=older), tensors)
        if fits:
            assert zoo.load(old).spec.task.options == LaterOptions(steps=6)
        else:
            with pytest.raises(WeightsError, match="'legacy' is no longer supported: it is 1"):
                zoo.load(old)


def test_an_upgrade_gets_a_copy_and_its_result_is_used(file: Path) -> None:
    calls = []

    def upgrade(header: dict[str, Any], version: str) -> dict[str, Any]:
        calls.append((header, version))
        header["run"]["task"]["options"]["length"] = 3
        header["task_state"]["scale"] = 2.5
        return {**header, "task_state": header["task_state"]}

    zoo.register(later(upgrade=upgrade))
    weights = weights_file.read(file)
    before = canonical(dict(weights.header))
    spec, task, _ = loading.build(weights, installed.registry())
    ((given, version),) = calls
    assert given is not weights.header
    assert version == ""  # It was registered by a program.
    assert spec.task.options == LaterOptions(steps=3)
    assert task.state_dict() == {"scale": 2.5}
    assert canonical(dict(weights.header)) == before


def test_an_upgrade_of_a_model_gets_the_version_of_its_plugin(
    file: Path, registry: Registry
) -> None:
    versions = []

    def upgrade(header: dict[str, Any], version: str) -> dict[str, Any]:
        versions.append(version)
        header["run"]["model"]["name"] = "gru"
        return header

    zoo.register(TOY, replace(registry.get(zoo.ModelInfo, "gru"), name="old-gru", upgrade=upgrade))
    header, tensors = parse(file)
    header = before_digests(header)
    model = {**header["run"]["model"], "name": "old-gru", "version": "0.1.7"}
    old = forge(file.with_name("w"), with_run(header, model=model), tensors)
    assert zoo.load(old).spec.model.info.name == "gru"
    assert versions == ["0.1.7"]


@pytest.mark.parametrize("error", [KeyError("gone"), ValueError("no"), TypeError("no")])
def test_an_upgrade_that_fails_is_reported(error: Exception, file: Path) -> None:
    def upgrade(header: dict[str, Any], version: str) -> dict[str, Any]:
        raise error

    zoo.register(later(upgrade=upgrade))
    with pytest.raises(WeightsError, match=r"program: toy cannot upgrade it.*(gone'|no)$"):
        zoo.load(file)
