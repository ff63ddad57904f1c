"""Initial weights: the model and the settings under which they fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.api.initial_notes import aligned
from zoo.api.loading import load
from zoo.api.suggestions import Choice
from zoo.engine.faults import named, naming_plugin
from zoo.errors import PluginError
from zoo.options import options_of
from zoo.records import ModelInfo, TaskInfo
from zoo.registry import Registry, resolve_target
from zoo.settings import find_recipe
from zoo.settings.naming import owners
from zoo.trained import TrainedModel
from zoo.values import Option, Value
from zoo.weights.transfer import row_names


def choose_initial(
    choice: Choice,
    init: str | Path | None,
    settings: Mapping[str, object],
    registry: Registry,
    *,
    is_named: bool,
    device: str = "cpu",
) -> tuple[Choice, TrainedModel | None]:
    """Load the weights that a training starts from, and choose what makes them fit.

    Weights that are suggested for the data are left out where the user sets something else than
    what they need, and where the suggestion says that they do not suit the data.

    Args:
        choice: What is trained.
        init: What the user gives: a file, a run directory or a recipe with weights; empty: none;
            None: those of the choice.
        settings: Those of the user.
        registry: What is installed.
        is_named: Whether the user names the model, or a recipe.
        device: Where the weights go.

    Returns:
        The choice, and the trained model or None.

    Raises:
        WeightsError: There are no weights of this name, or they cannot be used.
        PluginError: A plugin that they need is not installed, or the task fails.
    """
    none = replace(choice, init="")
    choice = replace(choice, init=choice.init if init is None else str(init))
    if not choice.init:
        return none, None
    source = load(choice.init, device)
    if init is None and choice.suits and not choice.suits(row_names(source.task, source.module)):
        return none, None
    fitted = _fitting(choice, source, settings, registry, is_named=is_named)
    if init is None and not is_named:
        before, after = (_model(found.name, registry) for found in (choice, fitted))
        lacking = options_of(before.options).keys() - options_of(after.options).keys()
        known = _options("task.", _task(fitted.name, registry)) | _options("model.", after)
        if why := _contradiction(settings, fitted.initial, known, lacking):
            note = aligned([f"from scratch: {choice.init} {why}"])
            return replace(none, notes=(*none.notes, note)), None
    return fitted, source


def _fitting(
    choice: Choice,
    source: TrainedModel,
    settings: Mapping[str, object],
    registry: Registry,
    *,
    is_named: bool,
) -> Choice:
    """Return a choice with the model and the settings under which initial weights fit.

    The model is that of the weights, unless the user names one or the task cannot have it. Settings
    of the model are the options of the trained one that it has, too. Those of the task are what it
    says itself (:attr:`zoo.TaskInfo.settings_from`).
    """
    recipe = find_recipe(choice.name, registry)
    task = _task(choice.name, registry)
    model = _model(choice.name, registry)
    trained = source.spec.model.info
    if not is_named and task.can_use(trained):
        owner = (trained.plugin.distribution,) if trained.plugin else ()
        model = trained
        full_name = registry.full_name(ModelInfo, trained.name, prefer=owner)
        choice = replace(choice, name=f"{recipe.task}/{full_name}")
    found = _of_model(source.spec.model.to_json()["options"], model, settings)
    return replace(
        choice,
        suggested={**choice.suggested, **choice.init_settings},
        initial=found | _of_task(source, task),
    )


def settings_of_recipe(name: str, registry: Registry) -> Mapping[str, object]:
    """Return settings that a recipe has of the weights that it starts from; nothing without any.

    Raises:
        WeightsError: The weights cannot be used.
        PluginError: A plugin that they need is not installed.
    """
    choice = Choice(name, init=find_recipe(name, registry).init)
    return choose_initial(choice, None, {}, registry, is_named=True)[0].initial


def _task(name: str, registry: Registry) -> TaskInfo:
    recipe = find_recipe(name, registry)
    return registry.get(TaskInfo, recipe.task, prefer=owners(recipe))


def _model(name: str, registry: Registry) -> ModelInfo:
    recipe = find_recipe(name, registry)
    return registry.get(ModelInfo, recipe.model, prefer=owners(recipe))


def _contradiction(
    settings: Mapping[str, object],
    initial: Mapping[str, object],
    known: Mapping[str, Option],
    lacking: Collection[str],
) -> str:
    """Return what initial weights have other than the user sets, in words; empty: nothing.

    Args:
        settings: Those of the user.
        initial: What the weights need.
        known: The options of task and model.
        lacking: Options that their model does not have.
    """
    for key in settings:
        if key.removeprefix("model.") in lacking:
            return f"has no {key}"
    for key, value in initial.items():
        name = key.partition(".")[2]
        given = settings.get(key, settings.get(name))
        if given is not None and _is_other(given, value, known[key]):
            return f"has {name}={value}, and {given} is set"
    return ""


def _is_other(given: object, value: object, option: Option) -> bool:
    """Return whether a setting of the user, or what varies in a sweep, is not this value."""
    try:
        return _parsed(given, option) != value
    except ValueError:
        return True


def _parsed(given: object, option: Option) -> Value:
    return option.parse(given) if isinstance(given, str) else option.check(given)


def _options(prefix: str, record: TaskInfo | ModelInfo) -> dict[str, Option]:
    return {f"{prefix}{name}": option for name, option in options_of(record.options).items()}


def _of_model(
    values: Mapping[str, Any], model: ModelInfo, settings: Mapping[str, object]
) -> dict[str, Any]:
    """Return the options of a trained model that another one takes beside what the user sets."""
    found = _accepted(values, model)
    known = options_of(model.options)
    own = {}
    for name, option in known.items():
        given = settings.get(f"model.{name}", settings.get(name))
        if given is not None:
            try:
                own[name] = _parsed(given, option)
            except ValueError:
                continue  # It is reported where all settings are.
    # An option may be refused beside one of the user, such as dropout between layers of one layer.
    for left_out in ("", *found):
        rest = {name: value for name, value in found.items() if name != left_out}
        try:
            model.options(**(rest | own))
        except ValueError:
            continue
        return {f"model.{name}": value for name, value in rest.items()}
    return {}


def _of_task(source: TrainedModel, task: TaskInfo) -> dict[str, Any]:
    if not task.settings_from:
        return {}
    options = source.spec.task.to_json()["options"]
    with naming_plugin(named(task, "settings_from")):
        rows = row_names(source.task, source.module)
        found = resolve_target(task.settings_from)(options, rows)
    if not isinstance(found, Mapping):
        raise PluginError(
            f"task {task.name!r} returns a {type(found).__name__}, not a mapping of settings",
            where=str(task.settings_from),
        )
    bare = {key.removeprefix("task."): value for key, value in found.items()}
    return {f"task.{name}": value for name, value in _accepted(bare, task).items()}


def _accepted(values: Mapping[str, Any], record: TaskInfo | ModelInfo) -> dict[str, Any]:
    """Return the values that a record has an option for and allows."""
    known = options_of(record.options)
    found = {}
    for name in values.keys() & known.keys():
        try:
            found[name] = known[name].check(values[name])
        except ValueError:
            continue
    return {name: found[name] for name in values if name in found}
