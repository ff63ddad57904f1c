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
from zoo.discovery import Declaration
from zoo.entry_points import is_chosen, read_points
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
    points = [point for point in read_points() if is_chosen(point.name)]
    plugins = [point for point in points if not name or point.name == name]
    yield from (Subject(f"plugin {p.name}", PLUGIN_CHECKS, PluginCase(p)) for p in plugins)
    owners = {point.name for point in plugins}
    found = bool(plugins)

    def wanted(declared: Declaration) -> bool:
        owner = declared.plugin.name if declared.plugin else ""
        return not name or declared.name == bare or owner in owners

    for declared in filter(wanted, registry.declarations(ModelInfo)):
        found = True
        yield model(registry.get(ModelInfo, declared.name))
    for declared in filter(wanted, registry.declarations(TaskInfo)):
        found = True
        yield task(registry.get(TaskInfo, declared.name), path)
    if not found:
        known = [*registry.names(ModelInfo), *registry.names(TaskInfo), *(p.name for p in points)]
        raise UsageError(
            f"no model, task or plugin {name!r}{did_you_mean(name, known)}", fix="see `zoo list`"
        )
