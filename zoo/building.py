"""Records to objects: tasks, models and the networks they make together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from zoo.errors import PluginError, UsageError
from zoo.interfaces import Model, Task
from zoo.records import ModelInfo, TaskInfo, Value
from zoo.registry import resolve


def make_task(info: TaskInfo, options: Mapping[str, Value]) -> Task:
    """Build a task from its record.

    Raises:
        PluginError: The class does not load or is no Task.
        UsageError: It refuses its options.
    """
    task = _make(info, {}, options)
    if not isinstance(task, Task):
        raise PluginError(f"target of task {info.name!r} is not a zoo Task", where=info.target)
    return task


def make_model(info: ModelInfo, input_size: int, options: Mapping[str, Value]) -> nn.Module:
    """Build a model for inputs of ``input_size`` numbers; errors as for :func:`make_task`."""
    model = _make(info, {"input_size": input_size}, options)
    if not isinstance(model, nn.Module):
        raise PluginError(f"target of model {info.name!r} is not a torch module", where=info.target)
    for name in Model.__annotations__:
        if not isinstance(getattr(model, name, None), int):
            raise PluginError(f"model {info.name!r} has no {name}", where=info.target)
    if not info.one_hot:
        model.register_forward_pre_hook(_one_hot)
    return model


def make_network(task: Task, info: ModelInfo, options: Mapping[str, Value]) -> nn.Module:
    """Build the task's network around the configured model."""
    return task.network(lambda input_size: make_model(info, input_size, options))


def _make(
    info: TaskInfo | ModelInfo, first: Mapping[str, Value], options: Mapping[str, Value]
) -> object:
    try:
        return resolve(info.target)(**first, **options)
    except ValueError as error:
        raise UsageError(f"{info.name} refuses its options", why=str(error)) from error
    except TypeError as error:
        raise PluginError(
            f"{info.name} does not take the options it announces",
            where=info.target,
            why=str(error),
        ) from error


def _one_hot(model: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Give a model of vectors those that indices (B, T) stand for: every task takes every model."""
    inputs, *rest = arguments
    if inputs.is_floating_point():
        return None
    vectors = nn.functional.one_hot(inputs, model.input_size)  # type: ignore[arg-type]
    return vectors.to(next(model.parameters()).dtype), *rest
