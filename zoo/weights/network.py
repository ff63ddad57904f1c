"""Networks into weights files, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zoo import __version__
from zoo.building import make_network, make_task
from zoo.errors import PluginError, UsageError, WeightsError
from zoo.interfaces import Batch, Task
from zoo.records import ModelInfo, PluginInfo, TaskInfo, Value
from zoo.registry import Registry
from zoo.weights.file import FORMAT, STORAGE, Weights, write

# How far the probe's logits may lie from the recorded ones, by how the weights are stored. Across
# machines and wheels float32 differs by about 1e-5; rounding weights to 16 bits costs more.
TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 1e-2}

# What makes tensors out of sizes.
_FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye}


def describe(
    name: str,
    task: Task,
    task_info: TaskInfo,
    task_options: Mapping[str, Value],
    model_info: ModelInfo,
    model_options: Mapping[str, Value],
    registry: Registry,
) -> dict[str, Any]:
    """Return the part of a header that says what a network is."""
    task_plugin = registry.task_plugin(task_info.name)
    model_plugin = registry.model_plugin(model_info.name)
    return {
        "format": FORMAT,
        "zoo": __version__,
        "name": name,
        "task": _made_by(task_info.name, task_options, task_plugin),
        "model": _made_by(model_info.name, model_options, model_plugin),
        "assets": task.assets(),
    }


def save(
    path: Path, network: nn.Module, task: Task, header: Mapping[str, Any], storage: str = "float32"
) -> None:
    """Write a network's weights file.

    Args:
        path: Where to.
        network: The network; put into evaluation mode for the probe, and back.
        task: Gives the probe.
        header: What :func:`describe` returned, and whatever else is to be known.
        storage: How weights are stored: ``float32``, ``float16`` or ``bfloat16``.

    Raises:
        WeightsError: 16-bit storage moves the probe's logits by more than it may.
        DiskError: The file cannot be written.
    """
    tensors = {
        # Cloned, because the file format has no place for weights that share memory.
        name: tensor.detach().cpu().to(STORAGE[storage]).contiguous().clone()
        for name, tensor in network.state_dict().items()
    }
    if storage != "float32":
        _check_rounding(network, task, tensors, storage)
    write(path, tensors, {**header, "storage": storage, "probe": _probe(network, task)})


def build(weights: Weights, registry: Registry) -> tuple[Task, nn.Module]:
    """Make the task and the network that a weights file describes, in evaluation mode.

    Raises:
        PluginError: A plugin that it needs is not installed; the message says which.
        WeightsError: The tensors are not those of the network.
    """
    header = weights.header
    task_info = _installed(registry, "task", weights)
    model_info = _installed(registry, "model", weights)
    assert isinstance(task_info, TaskInfo)
    assert isinstance(model_info, ModelInfo)
    try:
        task = make_task(task_info, _options(task_info, header["task"]["options"]))
        task.restore(header["assets"])
        options = _options(model_info, header["model"]["options"])
        # Fresh weights are drawn and then overwritten: not at the cost of the caller's generator.
        with torch.random.fork_rng(), _Budget(weights):
            network = make_network(task, model_info, options)
    except (
        UsageError, ValueError, LookupError, TypeError, ArithmeticError, RuntimeError,
    ) as error:  # fmt: skip
        raise WeightsError(
            "header does not fit the installed plugins",
            where=str(weights.path),
            why=str(error).partition("\n")[0],
            fix="install the versions that `zoo inspect` shows",
        ) from error
    _compare(network, weights)
    network.load_state_dict({name: t.float() for name, t in weights.tensors.items()})
    return task, network.eval()


def verify(weights: Weights, task: Task, network: nn.Module) -> float:
    """Run the probe and return the largest difference from the recorded logits.

    Raises:
        WeightsError: The difference is more than the file's storage explains.
    """
    probe = weights.header["probe"]
    try:
        batch = _batch(probe["batch"])
        expected = torch.tensor(probe["logits"])
        with torch.inference_mode():
            found = task.logits(network, batch.to(_device_of(network))).float().cpu()
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            "probe is malformed", where=str(weights.path), why=str(error).partition("\n")[0]
        ) from error
    if found.shape != expected.shape:
        raise WeightsError(
            "probe has another shape",
            where=str(weights.path),
            why=f"{tuple(found.shape)} where {tuple(expected.shape)} was recorded",
        )
    difference = float((found - expected).abs().max())
    if not difference <= TOLERANCE[weights.header["storage"]]:
        raise WeightsError(
            "probe does not agree",
            where=str(weights.path),
            why=f"logits differ by {difference:.2g}",
            fix="install the versions that `zoo inspect` shows",
        )
    return difference


def _installed(registry: Registry, kind: str, weights: Weights) -> TaskInfo | ModelInfo:
    part = weights.header[kind]
    try:
        return registry.task(part["name"]) if kind == "task" else registry.model(part["name"])
    except UsageError:
        known = {plugin.distribution for plugin in registry.plugins if not plugin.error}
        what = f"{part['distribution']} {part['version']}"
        raise PluginError(
            f"{kind} {part['name']!r} is not installed",
            where=str(weights.path),
            why=f"it comes from {what}"
            + (", of which another version is installed" if part["distribution"] in known else ""),
            fix=f"pip install {part['distribution']}",
        ) from None


def _options(info: TaskInfo | ModelInfo, stored: Mapping[str, Value]) -> dict[str, Value]:
    """Return stored options, and the defaults of those that came after the file was written."""
    if unknown := sorted(stored.keys() - info.options.keys()):
        raise ValueError(f"{info.name} has no option {unknown[0]!r} any more")
    return {
        key: option.check(stored.get(key, option.default)) for key, option in info.options.items()
    }


class _Budget(TorchFunctionMode):
    """Stops what asks for more numbers than its file holds, before the memory is touched."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        # Twice, and a little more: what is built may need tensors besides its parameters.
        self.left = 2 * sum(tensor.numel() for tensor in weights.tensors.values()) + (1 << 20)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in _FACTORIES:
            self.left -= made.numel()
            if self.left < 0:
                raise ValueError("options ask for more memory than the tensors take")
        return made


def _compare(network: nn.Module, weights: Weights) -> None:
    """Refuse tensors that are not those of the network."""
    expected = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.tensors.items()}
    problems = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    problems += [f"{name} is extra" for name in sorted(found.keys() - expected.keys())]
    problems += [
        f"{name} has shape {found[name]}, not {expected[name]}"
        for name in sorted(expected.keys() & found.keys())
        if expected[name] != found[name]
    ]
    stored = STORAGE[weights.header["storage"]]
    problems += [
        f"{name} is {str(tensor.dtype).removeprefix('torch.')}, not {weights.header['storage']}"
        for name, tensor in weights.tensors.items()
        if tensor.dtype != stored
    ]
    if problems:
        raise WeightsError(
            "tensors do not fit the network", where=str(weights.path), why="; ".join(problems)
        )


def _made_by(name: str, options: Mapping[str, Value], plugin: PluginInfo) -> dict[str, Any]:
    return {
        "name": name,
        "options": dict(options),
        "distribution": plugin.distribution,
        "version": plugin.version,
    }


def _probe(network: nn.Module, task: Task) -> dict[str, Any]:
    batch = task.probe()
    training = network.training
    network.eval()
    with torch.inference_mode():
        logits = task.logits(network, batch.to(_device_of(network))).float().cpu()
    network.train(training)
    return {
        "batch": {
            "inputs": batch.inputs.tolist(),
            "lengths": batch.lengths.tolist(),
            "targets": batch.targets.tolist(),
        },
        "logits": logits.tolist(),
    }


def _check_rounding(
    network: nn.Module, task: Task, tensors: Mapping[str, Tensor], storage: str
) -> None:
    exact = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    before = torch.tensor(_probe(network, task)["logits"])
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    after = torch.tensor(_probe(network, task)["logits"])
    network.load_state_dict(exact)
    difference = float((before - after).abs().max())
    if not difference <= TOLERANCE[storage]:
        raise WeightsError(
            f"weights do not survive {storage}",
            why=f"the probe's logits move by {difference:.2g}",
            fix="store float32",
        )


def _batch(values: Mapping[str, Any]) -> Batch:
    return Batch(
        torch.tensor(values["inputs"]),
        torch.tensor(values["lengths"]),
        torch.tensor(values["targets"]),
    )


def _device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
