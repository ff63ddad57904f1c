"""The probe of a weights file: inputs, and what the network and its task must make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import PluginError, WeightsError
from zoo.interfaces import Batch, ProbesTexts, Task
from zoo.weights import comparison
from zoo.weights.comparison import (
    MAX_CHARACTERS,
    MAX_TEXTS,
    Comparison,
    check_batch,
    check_texts,
    settings_digest,
)
from zoo.weights.components import UNFIT
from zoo.weights.file import Weights
from zoo.weights.header import canonical


def make(network: nn.Module, task: Task, header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the probe of a network.

    Args:
        network: The network.
        task: Its task.
        header: The header of the weights file, with ``run`` and ``task_state``.

    Returns:
        ``batch``, field by field, and its ``outputs``; ``texts`` and their ``answers``, where the
        task has them; ``sha256`` of what the answers depend on besides the weights.

    Raises:
        PluginError: The probe is larger than one may be, or has values that JSON has not.
        WeightsError: An output is not a finite number.
    """
    batch = task.probe()
    values = {f.name: getattr(batch, f.name) for f in fields(batch)}
    found = outputs(network, task, batch)
    if not bool(found.isfinite().all()):
        raise WeightsError("the outputs of the probe are not finite numbers")
    made: dict[str, Any] = {
        "batch": {k: v.tolist() for k, v in values.items() if isinstance(v, Tensor)},
        "outputs": found.tolist(),
        "sha256": settings_digest(header),
    }
    if isinstance(task, ProbesTexts):
        made["texts"] = _short_enough(task.probe_texts())
        made["answers"] = answers(network, task, made["texts"])
    try:
        check_texts(made)
        _batch(task, made["batch"])
        canonical(made)
    except UNFIT as error:
        raise PluginError(f"the probe of {type(task).__name__} is unfit", why=str(error)) from error
    return made


def _short_enough(texts: Sequence[str]) -> list[str]:
    """Return the texts that a probe has room for: words may be of any length."""
    chosen: list[str] = []
    for text in texts:
        if len(chosen) < MAX_TEXTS and sum(map(len, chosen)) + len(text) <= MAX_CHARACTERS:
            chosen.append(text)
    return chosen


def outputs(network: nn.Module, task: Task, batch: Batch) -> Tensor:
    """Return a network's outputs for a batch, in evaluation mode, in float32 on the CPU."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        found = task.probe_outputs(network, batch.to(next(network.parameters()).device))
    network.train(training)
    return found.float().cpu()


def answers(network: nn.Module, task: ProbesTexts, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return what each text becomes, in evaluation mode."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        found = [dict(answer) for answer in task.probe_answers(network, texts)]
    network.train(training)
    return found


def verify(weights: Weights, task: Task, network: nn.Module) -> float:
    """Compute the probe and return the largest difference from the stored outputs.

    Raises:
        WeightsError: The difference is larger than the dtype of the file explains, or as for
            :func:`compare`.
    """
    return compare(weights, task, network).checked()


def compare(weights: Weights, task: Task, network: nn.Module) -> Comparison:
    """Compute the probe again; errors as for :func:`zoo.weights.comparison.compare`."""
    return comparison.compare(
        weights,
        lambda stored: outputs(network, task, _batch(task, stored)).numpy(),
        (lambda texts: answers(network, task, texts)) if isinstance(task, ProbesTexts) else None,
    )


def _batch(task: Task, stored: Mapping[str, Any]) -> Batch:
    """Return the stored batch, of the class that the task uses; errors as for `check_batch`."""
    tensors: dict[str, Any] = {name: torch.tensor(value) for name, value in stored.items()}
    check_batch(tensors)
    return replace(task.probe(), **tensors)
