"""Networks from weights files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.building import build_network, build_task
from zoo.errors import UsageError
from zoo.interfaces import Task
from zoo.registry import Registry
from zoo.spec import NetworkSpec
from zoo.weights.budget import Budget
from zoo.weights.components import UNFIT, misfit, spec_of, unfit, upgraded
from zoo.weights.file import Weights
from zoo.weights.quantization import QUANTIZED
from zoo.weights.tensors import DTYPES, check_finite, dequantized, dtype_name, restored


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
    header = upgraded(weights, registry)
    try:
        spec = spec_of(header, registry, config)
        task = build_task(spec.task)
        task.load_state_dict(header["task_state"])
        # Fresh weights are drawn and then overwritten: not from the generator of the caller.
        with torch.random.fork_rng(devices=[]), Budget(weights.tensors):
            network = build_network(task, spec)
    except (UsageError, *UNFIT) as error:
        raise unfit(weights, error) from error
    try:
        tensors = _fitting(network, weights)
    except ValueError as error:
        raise misfit(weights, [str(error)]) from error
    check_finite(network, tensors, str(weights.path))
    # Copies into parameters of the network's dtype; 16-bit and 8-bit files become float32.
    network.load_state_dict(tensors)
    return spec, task, network.eval()


def _fitting(network: nn.Module, weights: Weights) -> dict[str, Tensor]:
    """Return the tensors as the network has them; refuse those that are not its own."""
    expected, dtype = network.state_dict(), weights.header["dtype"]
    tensors = weights.tensors
    if dtype == QUANTIZED:
        tensors, dtype = dequantized(tensors), "float32"
    problems = [f"{name} is missing" for name in sorted(expected.keys() - tensors.keys())]
    problems += [f"{name} is extra" for name in sorted(tensors.keys() - expected.keys())]
    found = {
        name: restored(tensors[name], expected[name].dtype)
        for name in sorted(expected.keys() & tensors.keys())
    }
    for name, tensor in found.items():
        shape, wanted = tuple(tensor.shape), tuple(expected[name].shape)
        if shape != wanted:
            problems.append(f"{name} has shape {shape}, not {wanted}")
        stored = expected[name].dtype
        if stored in DTYPES.values():
            stored = DTYPES[dtype]
        if tensor.dtype != stored:
            problems.append(f"{name} is {dtype_name(tensor)}, not {dtype_name(stored)}")
    if problems:
        raise misfit(weights, problems)
    return found
