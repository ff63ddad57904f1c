"""What to train on some data, where the user names no task or leaves its settings open."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zoo.data.source import locate
from zoo.discovery.declarations import Declaration
from zoo.engine.faults import named, naming_plugin
from zoo.entry_points import DISTRIBUTION
from zoo.errors import DataError, PluginError, UsageError, ZooError, ZooWarning, listed
from zoo.interfaces import RowNames
from zoo.records import ModelInfo, Recipe, Suggestion, TaskInfo
from zoo.registry import Registry, resolve_target
from zoo.settings import find_dataset, find_recipe, task_options


@dataclass(frozen=True, slots=True)
class Choice:
    """What is trained, and the settings that a task suggests for it.

    Args:
        name: A recipe, or ``TASK/MODEL``.
        suggested: Settings of the task's suggestion.
        notes: What the data was taken for.
        init: Weights to start from, unless the user gives others or none.
        init_settings: Settings above ``suggested``, where training starts from weights.
        initial: Settings under which these weights fit.
        suits: See :class:`zoo.Suggestion`.
    """

    name: str
    suggested: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    init: str = ""
    init_settings: Mapping[str, object] = field(default_factory=dict)
    initial: Mapping[str, object] = field(default_factory=dict)
    suits: Callable[[Mapping[str, RowNames]], bool] | None = None


def choose(name: str, data: str, settings: Mapping[str, object], registry: Registry) -> Choice:
    """Choose what to train.

    A recipe stands for itself. The task of ``TASK/MODEL`` is asked for settings for the data, and
    a task alone for the model, too. Without a name every task that looks at data is asked, general
    ones first, and the first one that knows it decides.

    Args:
        name: A recipe, ``TASK/MODEL``, ``TASK`` with data, or empty.
        data: A path, the name of a data set, or empty for the sample.
        settings: Those of the user.
        registry: What is installed.

    Raises:
        UsageError: There is no such name; or none is given, and no task knows the data.
        DataError: The data is missing or broken.
        PluginError: A suggestion is not what :class:`zoo.Suggestion` describes.
    """
    if not name:
        return _choose_task(data, settings, registry)
    if registry.has(Recipe, name):
        return Choice(name, init=registry.get(Recipe, name).init)
    if data and registry.has(TaskInfo, name):
        return _choose_model(name, data, settings, registry)
    recipe = find_recipe(name, registry)
    task = registry.get(TaskInfo, recipe.task)
    model = registry.get(ModelInfo, recipe.model)  # Before the data is looked at.
    if not task.suggest or not task.can_use(model):  # resolve() refuses the latter.
        return Choice(name)
    suggestion = _ask(task, _locate(data, registry), settings)
    if suggestion is None:
        return Choice(name)
    chosen = suggestion.settings
    if model.name != suggestion.model:  # Its sizes are not for every model.
        chosen = {key: value for key, value in chosen.items() if not key.startswith("model.")}
    return Choice(name, chosen, suggestion.notes, init_settings=suggestion.init_settings)


def _choose_model(
    task: str, data: str, settings: Mapping[str, object], registry: Registry
) -> Choice:
    record = registry.get(TaskInfo, task)
    suggestion = _ask(record, _locate(data, registry), settings) if record.suggest else None
    if suggestion is None:
        raise UsageError(
            f"task {task!r} suggests no model for the data {data!r}", fix=f"name it: {task}/MODEL"
        )
    return _followed(task, suggestion, registry)


def _choose_task(data: str, settings: Mapping[str, object], registry: Registry) -> Choice:
    if not data:
        raise UsageError(
            "nothing to train", fix="give data with --data FILE, or a NAME that `zoo list` lists"
        )
    path = _locate(data, registry)
    prefer = (DISTRIBUTION,)
    declared = registry.declarations(TaskInfo, prefer=prefer)
    tasks = [task for task in declared if task.facts["suggests"]]
    tasks.sort(key=_rank)
    refused: ZooError | None = None
    failed: list[PluginError] = []
    for declaration in tasks:
        task_name = registry.full_name(TaskInfo, declaration.name, prefer=prefer)
        try:
            suggestion = _ask(registry.get(TaskInfo, task_name), path, settings)
            if suggestion is not None:
                choice = _followed(task_name, suggestion, registry)
                for problem in failed:
                    warnings.warn(str(problem), ZooWarning, stacklevel=2)
                return choice
        except (UsageError, DataError) as problem:
            # A setting that this task does not take, or data that is broken if it is for it.
            refused = refused or problem
        except PluginError as problem:
            failed.append(problem)  # Nobody named its task: the others are asked.
    if refused is not None or failed:
        raise refused or failed[0]
    asked = listed(f"{task.name} ({task.summary})" for task in tasks)
    raise UsageError(
        f"no task knows the data {data!r}",
        why=f"those that look at data are {asked}" if tasks else "no task looks at data",
        fix=f"name one with its model, TASK/MODEL: zoo train TASK/MODEL --data {data}",
    )


def _rank(task: Declaration) -> tuple[bool, bool]:
    """Return when a task is asked: special ones late, and of these zoo's own last."""
    is_own = task.plugin is not None and task.plugin.distribution == DISTRIBUTION
    is_special = not task.facts["for_any_data"]
    return is_special, is_special and is_own


def _followed(task: str, suggestion: Suggestion, registry: Registry) -> Choice:
    if not registry.has(ModelInfo, suggestion.model):
        raise PluginError(
            f"task {task!r} suggests model {suggestion.model!r}", why="no such model is installed"
        )
    owner = registry.declaration(TaskInfo, task).plugin
    prefer = (owner.distribution if owner else "", DISTRIBUTION)
    model = registry.full_name(ModelInfo, suggestion.model, prefer=prefer)
    init = suggestion.init if _has_weights(suggestion.init, registry) else ""
    return Choice(
        f"{task}/{model}", suggestion.settings, suggestion.notes, init, suggestion.init_settings,
        suits=suggestion.suits,
    )  # fmt: skip


def _has_weights(name: str, registry: Registry) -> bool:
    return registry.has(Recipe, name) and registry.get(Recipe, name).weights is not None


def _locate(data: str, registry: Registry) -> Path | None:
    return locate(data, find_dataset(data, registry))


def _ask(task: TaskInfo, path: Path | None, settings: Mapping[str, object]) -> Suggestion | None:
    options = task_options(task, settings)
    with naming_plugin(named(task, "suggest")):
        suggestion = resolve_target(task.suggest)(path, options)
    if suggestion is not None and not isinstance(suggestion, Suggestion):
        raise PluginError(
            f"task {task.name!r} suggests a {type(suggestion).__name__}, not a zoo.Suggestion",
            where=str(task.suggest),
        )
    return suggestion
