"""From entry points to plugins: each is imported and validated in isolation.

A plugin that fails is reported with its name and its error, and every other plugin keeps working.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pluggy

from zoo import hookspecs, recipes
from zoo.entry_points import GROUP, PLUGINS_VARIABLE, distribution, entry_points
from zoo.errors import ZooWarning, did_you_mean
from zoo.options import Options, options_of
from zoo.recipes import RecipeFile
from zoo.records import (
    CallbackInfo,
    CommandInfo,
    MetricInfo,
    ModelInfo,
    OptimizerInfo,
    PluginInfo,
    Record,
    SchedulerInfo,
    TaskInfo,
)

# What the options of every run are grouped by, beside submodels and callbacks: the parts of keys
# such as ``model.hidden_size``.
SECTIONS = ("task", "model", "training", "optimizer", "scheduler")

RECORD_HOOKS: Mapping[str, type[Record]] = {
    "zoo_models": ModelInfo,
    "zoo_tasks": TaskInfo,
    "zoo_optimizers": OptimizerInfo,
    "zoo_schedulers": SchedulerInfo,
    "zoo_callbacks": CallbackInfo,
    "zoo_metrics": MetricInfo,
    "zoo_commands": CommandInfo,
}


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin with what it declares; nothing where it failed.

    Args:
        info: Its name, its package and its error.
        module: What the entry point names; None where that could not be imported.
        records: What its hooks returned.
        recipe_files: The recipe files that it brings.
    """

    info: PluginInfo
    module: object = None
    records: tuple[Record, ...] = ()
    recipe_files: tuple[RecipeFile, ...] = ()


def plugin_manager() -> pluggy.PluginManager:
    """Return a plugin manager that knows zoo's hooks and no plugin."""
    manager = pluggy.PluginManager("zoo")
    manager.add_hookspecs(hookspecs)
    return manager


def discover(points: Iterable[importlib.metadata.EntryPoint] | None = None) -> list[Plugin]:
    """Import and validate the plugins of entry points; by default of :func:`entry_points`.

    A name in ``ZOO_PLUGINS`` that no entry point has is reported by a warning.
    """
    _warn_of_unknown_names()
    plugins = []
    for point in entry_points() if points is None else points:
        info = PluginInfo(point.name, *distribution(point))
        try:
            plugins.append(validate(point.load(), info))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
            # In one line: pluggy, for one, gives the cause in its second and third.
            message = " ".join(f"{type(error).__name__}: {error}".split())
            plugins.append(Plugin(replace(info, error=message)))
    return plugins


def _warn_of_unknown_names() -> None:
    chosen = os.environ.get(PLUGINS_VARIABLE, "")
    installed = importlib.metadata.entry_points(group=GROUP).names
    for name in {name.strip() for name in chosen.split(",")} - {"", *installed}:
        message = f"{PLUGINS_VARIABLE}: no plugin {name!r}{did_you_mean(name, installed)}"
        warnings.warn(message, ZooWarning, stacklevel=2)


def validate(module: object, info: PluginInfo) -> Plugin:
    """Call the hooks of one plugin, with a plugin manager of its own, and check the results.

    Raises:
        Exception: Whatever the plugin raises; or TypeError, ValueError or pluggy's
            PluginValidationError where its hooks are not as :mod:`zoo.hookspecs` describes them.
    """
    manager = plugin_manager()
    manager.register(module, name=info.name)
    manager.check_pending()
    records = [
        record
        for hook, kind in RECORD_HOOKS.items()
        for record in _flatten(getattr(manager.hook, hook)(), kind, hook)
    ]
    files = [
        recipes.read(path, info)
        for path in _flatten(manager.hook.zoo_recipes(), Path, "zoo_recipes")
    ]
    for record in records:
        check(record)
    provides: dict[str, tuple[str, ...]] = {}
    names = [(record.kind, record.name) for record in records]
    names += [("recipe", name) for file in files for name in file.recipes]
    names += [("dataset", name) for file in files for name in file.datasets]
    for kind, name in names:
        _check_name(kind, name)
        if name in provides.get(kind, ()):
            raise ValueError(f"{kind} {name!r} is declared twice")
        provides[kind] = (*provides.get(kind, ()), name)
    info = replace(info, provides=provides)
    records = [replace(record, plugin=info) for record in records]
    return Plugin(info, module, tuple(records), tuple(files))


def check(record: Record) -> None:
    """Check what types do not say: name, options and their defaults, names of submodels.

    Raises:
        TypeError: The name is not a string, or the options are not declared as options.
        ValueError: The name is malformed or taken, or a default is not allowed.
    """
    _check_name(record.kind, record.name)
    what = f"{record.kind} {record.name!r}"
    if not (isinstance(record.options, type) and issubclass(record.options, Options)):
        raise TypeError(f"{what}: options is {record.options!r}, not a subclass of zoo.Options")
    options_of(record.options)
    try:
        record.options()  # Checks the defaults.
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    submodels = tuple(record.submodels) if isinstance(record, TaskInfo) else ()
    for submodel in submodels:
        _check_name("submodel", submodel)
    sections = (record.name,) if isinstance(record, CallbackInfo) else submodels
    if taken := sorted({*sections} & {*SECTIONS}):
        raise ValueError(f"{what}: options of every run are grouped under {taken[0]!r} already")


def _check_name(kind: str, name: object) -> None:
    """Refuse names that `--set`, ``TASK/MODEL`` and ``DISTRIBUTION:NAME`` cannot have."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"the name of a {kind} is not a string: {name!r}")
    if not re.fullmatch(r"[\w.+-]+", name):
        raise ValueError(f"{kind} {name!r}: names have letters, digits, hyphens and dots")


def _flatten(results: list[Any], kind: type[Any], hook: str) -> list[Any]:
    """Return the items of what a hook returned, all of them of one type."""
    items: list[Any] = []
    for result in results:
        if not isinstance(result, list | tuple):
            raise TypeError(f"{hook} returned {type(result).__name__}, not a list")
        for item in result:
            if not isinstance(item, kind):
                raise TypeError(
                    f"{hook} returned a {type(item).__name__} in its list, not a {kind.__name__}"
                )
            items.append(item)
    return items
