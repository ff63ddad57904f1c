"""Networks from weights files."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.building import build_network, build_task
from zoo.errors import PluginError, UsageError, WeightsError
from zoo.interfaces import Task
from zoo.options import options_of
from zoo.records import ModelInfo, TaskInfo
from zoo.registry import Registry
from zoo.spec import Component, NetworkSpec, find
from zoo.weights.budget import Budget
from zoo.weights.file import DTYPES, Weights
from zoo.weights.tensors import check_finite, dtype_name, restored

# What building a network from values that it was not made for can raise.
_UNFIT = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError,
    AssertionError, MemoryError,
)  # fmt: skip


def build(
    weights: Weights, registry: Registry, *, config: Mapping[str, Any] | None = None
) -> tuple[NetworkSpec, Task, nn.Module]:
    """Build the task and the network that a weights file describes, in evaluation mode.

    Args:
        weights: The file, with its tensors.
        registry: What is installed.
        config: The configuration of the run directory that the weights are of. What its options
            say of files counts: the weights know names alone, as a file from elsewhere must not
            choose what is opened.

    Raises:
        PluginError: A plugin that it needs is not installed; the message says which.
        WeightsError: The tensors are not those of the network or not finite, or an installed
            plugin does not take the options of the file; the message says which option of which
            version.
    """
    header = _upgraded(weights, registry)
    try:
        spec = NetworkSpec.from_json(header["run"], registry)
        if (run := _with_files(header["run"], spec, config)) != header["run"]:
            spec = NetworkSpec.from_json(run, registry)
        task = build_task(spec.task)
        task.load_state_dict(header["task_state"])
        # Fresh weights are drawn and then overwritten: not from the generator of the caller.
        with torch.random.fork_rng(devices=[]), Budget(weights.tensors):
            network = build_network(task, spec)
    except (UsageError, *_UNFIT) as error:
        raise WeightsError(
            "the file does not fit the installed plugins",
            where=str(weights.path),
            why=str(error).partition("\n")[0],
            fix="install the versions that `zoo inspect` shows",
        ) from error
    tensors = _fitting(network, weights)
    check_finite(network, tensors, str(weights.path))
    # Copies into parameters of the network's dtype; 16-bit files become float32.
    network.load_state_dict(tensors)
    return spec, task, network.eval()


def _upgraded(weights: Weights, registry: Registry) -> Mapping[str, Any]:
    """Return the header after the upgrades of its task's and its model's plugin.

    Raises:
        PluginError: The task, the model or a submodel is not installed.
        WeightsError: The upgrade of a plugin failed.
    """
    header = weights.header
    run = header["run"]
    for part, made_by in {"task": run["task"], "model": run["model"], **run["submodels"]}.items():
        info: TaskInfo | ModelInfo
        try:
            if part == "task":
                info = find(TaskInfo, made_by, registry)
            else:
                info = find(ModelInfo, made_by, registry)
        except UsageError as error:
            raise _not_installed(weights, part, made_by, registry) from error
        # An upgrade changes run["task"] or run["model"]; it does not know of submodels.
        if info.upgrade is not None and part in ("task", "model"):
            try:
                header = info.upgrade(deepcopy(dict(header)), made_by["version"])
            except _UNFIT as error:
                raise WeightsError(
                    "the file does not fit the installed plugins",
                    where=str(weights.path),
                    why=f"{info.plugin} cannot upgrade it from {made_by['version'] or 'before'}: "
                    f"{type(error).__name__}: {error}",
                ) from error
    return header


def without_folders(run: Mapping[str, Any], spec: NetworkSpec) -> dict[str, Any]:
    """Return the JSON form of a run with the names alone of files that options name.

    Folders say something of the machine of the training, and are of no use on another.
    """
    return _with_files(run, spec, None)


def _with_files(
    run: Mapping[str, Any], spec: NetworkSpec, config: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return a run whose options name the files of a configuration; without one, names alone."""
    changed = {**run, "submodels": dict(run["submodels"])}
    parts: dict[str, Component[Any]] = {"task": spec.task, "model": spec.model, **spec.submodels}
    for part, component in parts.items():
        place = changed if part in ("task", "model") else changed["submodels"]
        options = dict(place[part]["options"])
        for name in [o.name for o in options_of(component.info.options).values() if o.is_path]:
            if not options.get(name):
                continue
            options[name] = Path(options[name]).name
            if config is not None:
                source = config if part in ("task", "model") else config["submodels"]
                options[name] = source[part]["options"].get(name, options[name])
        place[part] = {**place[part], "options": options}
    return changed


def _not_installed(
    weights: Weights, part: str, made_by: Mapping[str, Any], registry: Registry
) -> PluginError:
    what = f"{part} {made_by['name']!r}"
    if not made_by["distribution"]:
        return PluginError(
            f"{what} is not declared",
            where=str(weights.path),
            why="it was registered by the program that trained it, with zoo.register()",
            fix="register it before loading",
        )
    installed = {plugin.distribution for plugin in registry.plugins if not plugin.error}
    other = ", of which another version is installed"
    return PluginError(
        f"{what} is not installed",
        where=str(weights.path),
        why=f"it comes from {made_by['distribution']} {made_by['version']}"
        + (other if made_by["distribution"] in installed else ""),
        fix=f"pip install {made_by['distribution']}",
    )


def _fitting(network: nn.Module, weights: Weights) -> dict[str, Tensor]:
    """Return the tensors as the network has them; refuse those that are not its own."""
    expected = network.state_dict()
    problems = [f"{name} is missing" for name in sorted(expected.keys() - weights.tensors.keys())]
    problems += [f"{name} is extra" for name in sorted(weights.tensors.keys() - expected.keys())]
    found = {
        name: restored(weights.tensors[name], expected[name].dtype)
        for name in sorted(expected.keys() & weights.tensors.keys())
    }
    for name, tensor in found.items():
        shape, wanted = tuple(tensor.shape), tuple(expected[name].shape)
        if shape != wanted:
            problems.append(f"{name} has shape {shape}, not {wanted}")
        stored = expected[name].dtype
        if stored in DTYPES.values():
            stored = DTYPES[weights.header["dtype"]]
        if tensor.dtype != stored:
            problems.append(f"{name} is {dtype_name(tensor)}, not {dtype_name(stored)}")
    if problems:
        raise WeightsError(
            "the tensors do not fit the network",
            where=str(weights.path),
            why="; ".join(problems),
        )
    return found
