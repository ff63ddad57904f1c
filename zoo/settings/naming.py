"""Names of what can be trained and of data, and what a mistyped one may have meant."""

from __future__ import annotations

from pathlib import Path

from zoo.discovery import Declaration
from zoo.entry_points import DISTRIBUTION
from zoo.errors import DataError, UsageError, did_you_mean, listed
from zoo.files import is_pattern
from zoo.records import DatasetInfo, ModelInfo, Recipe, TaskInfo
from zoo.registry import Registry
from zoo.spec import SAMPLE, dataset_of


def names(registry: Registry) -> list[str]:
    """Return what can be trained: the recipes, and every ``TASK/MODEL``."""
    models = registry.names(ModelInfo)
    pairs = [f"{task}/{model}" for task in registry.names(TaskInfo) for model in models]
    return [*registry.names(Recipe), *pairs]


def find_recipe(name: str, registry: Registry) -> Recipe:
    """Return the recipe of a name, or one without settings for ``TASK/MODEL``.

    Raises:
        UsageError: It is neither.
    """
    if registry.has(Recipe, name):
        return registry.get(Recipe, name)
    task, slash, model = name.partition("/")
    if slash and not Path(name).is_file():
        return Recipe(name=name, summary="", task=task, model=model)
    raise _no_recipe(name, registry)


def find_task(name: str, registry: Registry) -> TaskInfo:
    """Return the task of a recipe or of ``TASK/MODEL``.

    Raises:
        UsageError: There is no such recipe or task.
        PluginError: More than one plugin declares it.
    """
    recipe = find_recipe(name, registry)
    return registry.get(TaskInfo, recipe.task, prefer=owners(recipe))


def owners(recipe: Recipe) -> tuple[str, ...]:
    """Return whose tasks and models a recipe means, where several plugins declare the name.

    Those of its own package, whatever else is installed. In ``TASK/MODEL`` the user has to say.
    """
    if recipe.plugin:
        return (recipe.plugin.distribution,)
    return (DISTRIBUTION,) if recipe.source != Path() else ()


def find_dataset(data: str, registry: Registry) -> DatasetInfo | None:
    """Return the data set that ``data`` names; None for a path, shards or the sample.

    Raises:
        DataError: It is neither a name nor a path.
    """
    dataset = dataset_of(data, registry)
    if dataset is not None or data in ("", SAMPLE) or is_pattern(data):
        return dataset
    if not Path(data).exists():
        known = [SAMPLE, *registry.names(DatasetInfo)]
        raise DataError(
            f"no data {data!r}{did_you_mean(data, known)}",
            why="it is neither a path nor the name of a data set",
            fix=f"names are {listed(known)}",
        )
    return dataset


def _no_recipe(name: str, registry: Registry) -> UsageError:
    """Return the error for a name that is no recipe, with what it may be instead."""
    if registry.has(ModelInfo, name):
        return _half_of_a_name(name, "model", f"{_task_for(name, registry)}/{name}")
    if registry.has(TaskInfo, name):
        return _half_of_a_name(name, "task", f"{name}/{_model_for(name, registry)}")
    if Path(name).exists():
        return UsageError(f"{name!r} is no recipe", fix=f"give data with --data: --data {name}")
    known = [*names(registry), *registry.names(ModelInfo), *registry.names(TaskInfo)]
    return UsageError(
        f"no recipe {name!r}{did_you_mean(name, known)}",
        fix="see `zoo list` for recipes, name a TASK/MODEL, or give --data FILE alone",
    )


def _half_of_a_name(name: str, kind: str, example: str) -> UsageError:
    return UsageError(
        f"{name!r} is a {kind}",
        why=f"name TASK/MODEL, such as {example}, or give --data FILE alone",
    )


def _task_for(model: str, registry: Registry) -> str:
    """Return a task that the model can be used for, one that looks at data where there is one."""
    declared = registry.declaration(ModelInfo, model)
    tasks = [task for task in registry.declarations(TaskInfo) if _can_use(task, declared)]
    tasks.sort(key=lambda task: not (task.facts["suggests"] and task.facts["for_any_data"]))
    return tasks[0].name if tasks else "TASK"


def _model_for(task: str, registry: Registry) -> str:
    """Return a model that can be used for the task."""
    declared = registry.declaration(TaskInfo, task)
    models = [model for model in registry.declarations(ModelInfo) if _can_use(declared, model)]
    return models[0].name if models else "MODEL"


def _can_use(task: Declaration, model: Declaration) -> bool:
    return not task.facts["needs_bidirectional" if model.facts["causal"] else "needs_causal"]
