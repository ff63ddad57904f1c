"""The run of a name: its parts are chosen, and their options take the settings of all sources."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.entry_points import DISTRIBUTION
from zoo.errors import PluginError, UsageError, ZooWarning
from zoo.options import Options, options_of
from zoo.records import (
    CallbackInfo,
    ModelInfo,
    OptimizerInfo,
    Recipe,
    SchedulerInfo,
    TaskInfo,
)
from zoo.registry import Registry
from zoo.settings.choices import Choices
from zoo.settings.naming import find_dataset, find_recipe, owners
from zoo.settings.values import Values
from zoo.spec import Component, NetworkSpec, RunSpec, TrainingOptions
from zoo.values import check_seed


def resolve(
    name: str,
    registry: Registry,
    settings: Mapping[str, object] | None = None,
    *,
    suggested: Mapping[str, object] | None = None,
    initial: Mapping[str, object] | None = None,
    data: str = "",
    seed: int = 1,
    init: str | None = None,
    callbacks: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> RunSpec:
    """Return the run of a recipe or ``TASK/MODEL`` under the user's settings.

    A recipe has settings of its own, and below them those under which its initial weights fit.
    ``TASK/MODEL`` has those that the task declares, above them those that it suggests for the data,
    and above these those under which initial weights fit. Above all are those of the user.

    Args:
        name: A recipe, or ``TASK/MODEL``.
        registry: What is installed.
        settings: Values by key. A key is ``hidden_size`` or, where more than one part of the run
            has such an option, ``model.hidden_size``. A string is read as it is after ``--set``.
        suggested: The settings of the task's :class:`zoo.Suggestion` for ``TASK/MODEL``.
        initial: Settings under which the initial weights fit.
        data: A path or the name of a data set; empty for what the recipe says.
        seed: Seed of everything that is drawn.
        init: The weights that training starts from; None: those of the recipe, if it has any.
        callbacks: Names of callbacks; their options are set by ``NAME.option``.
        metrics: Names of further metrics.

    Raises:
        UsageError: A name is unknown, the seed is out of bounds, task and model do not go together,
            or settings are unknown or of a wrong type; all bad settings are in one message.
        PluginError: The task declares or suggests settings that are.
    """
    check_seed(seed)
    recipe = find_recipe(name, registry)
    is_recipe = registry.has(Recipe, name)
    data = data or recipe.data
    given = dict(settings or {})
    task = registry.get(TaskInfo, recipe.task, prefer=owners(recipe))
    model = registry.get(ModelInfo, recipe.model, prefer=owners(recipe))
    presets_of = owners(recipe) if is_recipe else (task.plugin.distribution,) if task.plugin else ()
    layers = [task.settings, suggested or {}, initial or {}]
    if is_recipe:
        layers = [initial or {}, recipe.settings]
    choices = Choices(
        registry,
        layers,
        given,
        prefer=(*presets_of, DISTRIBUTION),
        any_lack_is_excused=not is_recipe,
    )
    choices.add(model)
    submodels = {
        part: choices.get(ModelInfo, f"task.{part}", declared.default)
        for part, declared in task.submodels.items()
    }
    defaults = TrainingOptions()
    optimizer = choices.get(OptimizerInfo, "training.optimizer", defaults.optimizer)
    scheduler = choices.get(SchedulerInfo, "training.schedule", defaults.schedule)
    called = {callback: registry.get(CallbackInfo, callback) for callback in callbacks}

    classes = {"task": task.options, "model": model.options, "training": TrainingOptions}
    classes |= {part: info.options for part, info in submodels.items()}
    classes |= {"optimizer": optimizer.options, "scheduler": scheduler.options}
    classes |= {callback: info.options for callback, info in called.items()}
    values = Values({section: options_of(cls) for section, cls in classes.items()})
    chosen = {key for part in submodels for key in (part, f"task.{part}")}
    wrong = list(choices.wrong_presets)
    for layer in layers:
        wrong += values.add_presets(_without(layer, chosen), choices.excuses)
    if wrong and not is_recipe:
        raise _wrong_task(task, wrong)
    problems = [*choices.problems, *(f"{text} (in {_where(recipe)})" for text in wrong)]
    problems += values.add(_without(given, chosen))
    made: dict[str, Any] = {}
    for section, cls in classes.items():
        made[section] = values.make(section, cls, problems)
    if problems:
        raise _bad_settings(recipe.name, problems)
    return RunSpec(
        name=recipe.name,
        network=NetworkSpec(
            Component(task, made["task"]),
            Component(model, made["model"]),
            {part: Component(info, made[part]) for part, info in submodels.items()},
        ),
        training=made["training"],
        optimizer=Component(optimizer, made["optimizer"]),
        scheduler=Component(scheduler, made["scheduler"]),
        callbacks={part: Component(info, made[part]) for part, info in called.items()},
        metrics=tuple(metrics),
        data=data,
        dataset=find_dataset(data, registry),
        seed=seed,
        init=recipe.init if init is None else init,
    )


def task_options(task: TaskInfo, settings: Mapping[str, object]) -> Options:
    """Return the options of a task under those of the settings that are for it.

    For looking at data before the other parts of the run are known; :func:`resolve` reports the
    settings that nothing has.

    Raises:
        UsageError: The task does not take a value.
    """
    values = Values({"task": options_of(task.options)})
    own = {key: value for key, value in settings.items() if values.has(key)}
    with warnings.catch_warnings():  # resolve() warns of old names.
        warnings.simplefilter("ignore", ZooWarning)
        values.add_presets(task.settings, lambda key, unknown: True)
        problems = values.add(own)
    made = values.make("task", task.options, problems)
    if problems:
        raise _bad_settings(task.name, problems)
    assert isinstance(made, Options)
    return made


def _without(settings: Mapping[str, object], keys: set[str]) -> dict[str, object]:
    return {key: value for key, value in settings.items() if key not in keys}


def _where(recipe: Recipe) -> str:
    return f"{recipe.source}, recipes.{recipe.name}"


def _wrong_task(task: TaskInfo, wrong: Sequence[str]) -> PluginError:
    return PluginError(
        f"task {task.name!r} has settings that cannot be used",
        where=str(task.plugin or ""),
        why="; ".join(wrong),
    )


def _bad_settings(name: str, problems: Sequence[str]) -> UsageError:
    number = len(problems)
    return UsageError(
        f"{'a bad setting' if number == 1 else f'{number} bad settings'} for {name}",
        why="; ".join(problems),
        fix=f"see `zoo show {name}` for the options",
    )
