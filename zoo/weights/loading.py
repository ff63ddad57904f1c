"""Networks from weights files."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from zoo.building import build_network, build_task
from zoo.errors import PluginError, UsageError, WeightsError
from zoo.interfaces import Task
from zoo.records import ModelInfo, TaskInfo
from zoo.registry import Registry
from zoo.spec import NetworkSpec, find
from zoo.weights.file import DTYPES, Weights

# What makes tensors of sizes.
_FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye}

# What building a network from values that it was not made for can raise.
_UNFIT = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError)


def build(weights: Weights, registry: Registry) -> tuple[NetworkSpec, Task, nn.Module]:
    """Build the task and the network that a weights file describes, in evaluation mode.

    Raises:
        PluginError: A plugin that it needs is not installed; the message says which.
        WeightsError: The tensors are not those of the network, or an installed plugin does not
            take the options of the file; the message says which option of which version.
    """
    header = _upgraded(weights, registry)
    try:
        spec = NetworkSpec.from_json(header["run"], registry)
        task = build_task(spec.task)
        task.load_state_dict(header["task_state"])
        # Fresh weights are drawn and then overwritten: not from the generator of the caller.
        with torch.random.fork_rng(devices=[]), _Budget(weights):
            network = build_network(task, spec)
    except (UsageError, *_UNFIT) as error:
        raise WeightsError(
            "the file does not fit the installed plugins",
            where=str(weights.path),
            why=str(error).partition("\n")[0],
            fix="install the versions that `zoo inspect` shows",
        ) from error
    _compare(network, weights)
    # Copies into parameters of the network's dtype; 16-bit files become float32.
    network.load_state_dict(dict(weights.tensors))
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


class _Budget(TorchFunctionMode):
    """Stops a network that asks for more numbers than its file has, before they are filled."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        # Twice as many, and a little more: building may need tensors besides the parameters.
        self.left = 2 * sum(tensor.numel() for tensor in weights.tensors.values()) + (1 << 20)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in _FACTORIES:
            self.left -= made.numel()
            if self.left < 0:
                raise ValueError("the options ask for more memory than the tensors take")
        return made


def _compare(network: nn.Module, weights: Weights) -> None:
    """Refuse tensors that are not those of the network."""
    expected = network.state_dict()
    found = weights.tensors
    problems = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    problems += [f"{name} is extra" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.keys()):
        shape, wanted = tuple(found[name].shape), tuple(expected[name].shape)
        if shape != wanted:
            problems.append(f"{name} has shape {shape}, not {wanted}")
        stored = expected[name].dtype
        if stored.is_floating_point:
            stored = DTYPES[weights.header["dtype"]]
        if found[name].dtype != stored:
            problems.append(f"{name} is {_dtype(found[name].dtype)}, not {_dtype(stored)}")
    if problems:
        raise WeightsError(
            "the tensors do not fit the network",
            where=str(weights.path),
            why="; ".join(problems),
        )


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
