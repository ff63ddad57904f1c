"""From a module to a plugin: its hooks are called and what they return is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pluggy

from zoo import hookspecs, recipes
from zoo.discovery.checks import check, check_name
from zoo.discovery.plugins import Plugin
from zoo.records import (
    CallbackInfo,
    CommandInfo,
    ExporterInfo,
    MetricInfo,
    ModelInfo,
    OptimizerInfo,
    PluginInfo,
    Record,
    SchedulerInfo,
    TaskInfo,
)

_MOST_RECORDS = 1000
RECORD_HOOKS: Mapping[str, type[Record]] = {
    "zoo_models": ModelInfo,
    "zoo_tasks": TaskInfo,
    "zoo_optimizers": OptimizerInfo,
    "zoo_schedulers": SchedulerInfo,
    "zoo_callbacks": CallbackInfo,
    "zoo_metrics": MetricInfo,
    "zoo_commands": CommandInfo,
    "zoo_exporters": ExporterInfo,
}


def plugin_manager() -> pluggy.PluginManager:
    """Return a plugin manager that knows zoo's hooks and no plugin."""
    manager = pluggy.PluginManager("zoo")
    manager.add_hookspecs(hookspecs)
    return manager


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
    if len(records) > _MOST_RECORDS:
        raise ValueError(f"it declares {len(records):,} records, more than {_MOST_RECORDS:,}")
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
        check_name(kind, name)
        if name in provides.get(kind, ()):
            raise ValueError(f"{kind} {name!r} is declared twice")
        provides[kind] = (*provides.get(kind, ()), name)
    info = replace(info, provides=provides)
    records = [replace(record, plugin=info) for record in records]
    return Plugin(info, module, tuple(records), tuple(files))


def environment(module: object, name: str) -> dict[str, str]:
    """Return the facts that a plugin reports for ``zoo env``.

    Raises:
        Exception: Whatever the plugin raises.
    """
    manager = plugin_manager()
    manager.register(module, name=name)
    found: Any = [pair for facts in manager.hook.zoo_environment() for pair in facts.items()]
    return {str(key): str(value) for key, value in found}


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
