"""What can be checked, by name: models, tasks, plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.checks.model_case import ModelCase
from zoo.checks.models import MODEL_CHECKS
from zoo.checks.records import PLUGIN_CHECKS, PluginCase
from zoo.checks.result import Check, Result, run_checks
from zoo.checks.task_case import TaskCase
from zoo.checks.tasks import TASK_CHECKS
from zoo.entry_points import entry_points
from zoo.errors import UsageError, did_you_mean
from zoo.records import ModelInfo, TaskInfo
from zoo.registry import Registry


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that is checked, with its checks.

    Args:
        name: ``model gru``, ``task char-lm`` or ``plugin recurrent``.
        checks: In order.
        case: What each check is given.
    """

    name: str
    checks: tuple[Check[Any], ...]
    case: Any

    def results(self, begin: Callable[[str], None] = lambda check: None) -> list[Result]:
        """Run the checks; ``begin`` is called with the name of each before it runs."""
        return run_checks(self.name, self.checks, self.case, begin)


def model(info: ModelInfo) -> Subject:
    """Return a model as a subject, with the defaults of its options."""
    return Subject(f"model {info.name}", MODEL_CHECKS, ModelCase(info))


def task(info: TaskInfo, path: Path | None = None) -> Subject:
    """Return a task as a subject, with data or with the sample that it carries."""
    return Subject(f"task {info.name}", TASK_CHECKS, TaskCase(info, path=path))


def find(name: str, registry: Registry, path: Path | None = None) -> Iterator[Subject]:
    """Yield what a name stands for: a model, a task, a plugin with what it declares, or all.

    Args:
        name: The name; empty: everything that is installed.
        registry: What is installed.
        path: Data for tasks; None: the sample that a task carries.

    Raises:
        UsageError: Nothing of that name is installed.
    """
    bare = name.rpartition(":")[2]
    points = entry_points()
    plugins = [point for point in points if not name or point.name == name]
    found = False
    for point in plugins:
        found = True
        yield Subject(f"plugin {point.name}", PLUGIN_CHECKS, PluginCase(point))
    owners = {point.name for point in plugins}
    for model_info in registry.all(ModelInfo):
        if model_info.name == bare or _owner(model_info) in owners or not name:
            found = True
            yield model(model_info)
    for task_info in registry.all(TaskInfo):
        if task_info.name == bare or _owner(task_info) in owners or not name:
            found = True
            yield task(task_info, path)
    if not found:
        known = [*registry.names(ModelInfo), *registry.names(TaskInfo), *(p.name for p in points)]
        raise UsageError(
            f"no model, task or plugin {name!r}{did_you_mean(name, known)}", fix="see `zoo list`"
        )


def _owner(record: ModelInfo | TaskInfo) -> str:
    return record.plugin.name if record.plugin else ""
