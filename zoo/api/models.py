"""Untrained models by name."""

from __future__ import annotations

from typing import Any

from torch import nn

from zoo.building import build_model
from zoo.engine.faults import named, naming_plugin
from zoo.engine.memory import within_memory
from zoo.errors import UsageError, did_you_mean
from zoo.installed import registry
from zoo.options import options_of
from zoo.records import ModelInfo
from zoo.spec import Component


def create_model(name: str, input_size: int, **options: Any) -> nn.Module:
    """Build an untrained model.

    Args:
        name: As in :func:`list_models`.
        input_size: Size of an input vector.
        **options: Options that differ from their defaults; ``zoo show NAME`` lists them.

    Returns:
        A module with ``forward(inputs (B, T, input_size), lengths (B,), state=None)`` that returns
        outputs (B, T, output_size) and the state after the last step of each row.

    Raises:
        UsageError: The name or an option is unknown, or a value is not allowed.
        MemoryError: The model is larger than the memory that is free.
        PluginError: Building it failed.

    Example:
        >>> import torch, zoo
        >>> model = zoo.create_model("bilstm", 20, hidden_size=64)
        >>> outputs, state = model(torch.zeros(2, 5, 20), torch.tensor([5, 3]))
        >>> outputs.shape
        torch.Size([2, 5, 128])
    """
    info = registry().get(ModelInfo, name)
    known = options_of(info.options)
    for key in options:
        if key not in known:
            raise UsageError(f"model {name!r} has no option {key!r}{did_you_mean(key, known)}")
    try:
        values = info.options(**options)
    except ValueError as error:
        raise UsageError(f"model {name!r} refuses its options", why=str(error)) from error
    with naming_plugin(named(info, "target")), within_memory():
        return build_model(Component(info, values), input_size)
