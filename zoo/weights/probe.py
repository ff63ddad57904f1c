"""The probe of a weights file: a batch, and the outputs that the network must give for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import WeightsError
from zoo.interfaces import Batch, Task
from zoo.weights.file import Weights

# How far outputs may differ from the stored ones, by dtype of the file. Across machines and wheels
# float32 differs by about 1e-5; rounding weights to 16 bits costs more.
TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 1e-2}


def make(network: nn.Module, task: Task) -> dict[str, Any]:
    """Return the probe of a network: its batch, field by field, and its outputs."""
    batch = task.probe()
    values = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return {
        "batch": {k: v.tolist() for k, v in values.items() if isinstance(v, Tensor)},
        "outputs": outputs(network, task, batch).tolist(),
    }


def outputs(network: nn.Module, task: Task, batch: Batch) -> Tensor:
    """Return a network's outputs for a batch, in evaluation mode, in float32 on the CPU."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        found = task.probe_outputs(network, batch.to(next(network.parameters()).device))
    network.train(training)
    return found.float().cpu()


def verify(weights: Weights, task: Task, network: nn.Module) -> float:
    """Compute the probe and return the largest difference from the stored outputs.

    Raises:
        WeightsError: The difference is larger than the dtype of the file explains.
    """
    probe = weights.header["probe"]
    try:
        expected = torch.tensor(probe["outputs"])
        found = outputs(network, task, _batch(task, probe["batch"]))
    except (
        KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError,
    ) as error:  # fmt: skip
        raise WeightsError(
            "the probe is malformed", where=str(weights.path), why=str(error).partition("\n")[0]
        ) from error
    if found.shape != expected.shape:
        raise WeightsError(
            "the probe has another shape",
            where=str(weights.path),
            why=f"{tuple(found.shape)} instead of {tuple(expected.shape)}",
        )
    difference = float((found - expected).abs().max())
    if not difference <= TOLERANCE[weights.header["dtype"]]:
        raise WeightsError(
            "the probe does not agree",
            where=str(weights.path),
            why=f"outputs differ by {difference:.2g}",
            fix="install the versions that `zoo inspect` shows",
        )
    return difference


def _batch(task: Task, stored: Mapping[str, Any]) -> Batch:
    """Return the stored batch, of the class that the task uses."""
    tensors: dict[str, Any] = {name: torch.tensor(value) for name, value in stored.items()}
    if missing := {"inputs", "lengths"} - tensors.keys():
        raise KeyError(f"the batch has no {min(missing)}")
    return replace(task.probe(), **tensors)
