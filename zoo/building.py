"""Records to objects: tasks, models and the networks they make together."""

from __future__ import annotations

from typing import Any

from torch import nn

from zoo.errors import PluginError, UsageError
from zoo.interfaces import Callback, Model, Task
from zoo.records import CallbackInfo, ModelInfo, Record, TaskInfo
from zoo.registry import resolve_target
from zoo.spec import Component, NetworkSpec


def build_task(task: Component[TaskInfo]) -> Task:
    """Build a task.

    Raises:
        PluginError: The target does not load or is no Task.
        UsageError: It refuses its options.
    """
    built = build(task)
    if not isinstance(built, Task):
        raise PluginError(f"the target of task {task.info.name!r} is not a zoo Task")
    return built


def build_model(model: Component[ModelInfo], input_size: int) -> nn.Module:
    """Build a model for inputs of ``input_size`` numbers; errors as for :func:`build_task`."""
    built = build(model, input_size)
    if not isinstance(built, nn.Module):
        raise PluginError(f"the target of model {model.info.name!r} is not a torch module")
    for name in Model.__annotations__:
        if not isinstance(getattr(built, name, None), int):
            raise PluginError(f"model {model.info.name!r} has no attribute {name!r}")
    return built


def build_network(task: Task, spec: NetworkSpec) -> nn.Module:
    """Build the network of a task around the configured model."""
    return task.network(_Builder(spec))


def build_callback(callback: Component[CallbackInfo]) -> Callback:
    """Build a callback; errors as for :func:`build_task`."""
    built = build(callback)
    if not isinstance(built, Callback):
        raise PluginError(f"the target of callback {callback.info.name!r} is no zoo.Callback")
    return built


def build(component: Component[Any], *arguments: Any) -> object:
    """Call the target of a component with arguments and its options.

    Raises:
        PluginError: The target does not load or does not take these arguments.
        UsageError: It refuses its options.
    """
    info: Record = component.info
    target = resolve_target(info.target)
    try:
        return target(*arguments, component.options)
    except ValueError as error:
        why = str(error).partition("\n")[0]  # torch adds where in its C++ code it was.
        raise UsageError(f"{info.kind} {info.name} refuses its options", why=why) from error
    except TypeError as error:
        raise PluginError(
            f"{info.kind} {info.name!r} cannot be built",
            where=str(info.target),
            why=str(error).partition("\n")[0],
        ) from error


class _Builder:
    """Builds the models of a network: a :class:`zoo.interfaces.BuildModel`."""

    def __init__(self, spec: NetworkSpec) -> None:
        self._spec = spec

    def __call__(self, input_size: int) -> nn.Module:
        return build_model(self._spec.model, input_size)

    def submodel(self, name: str, input_size: int) -> nn.Module:
        if name not in self._spec.submodels:
            raise PluginError(
                f"task {self._spec.task.info.name!r} does not declare a submodel {name!r}"
            )
        return build_model(self._spec.submodels[name], input_size)
