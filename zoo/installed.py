"""What is installed: the registry of this process, and what programs add to it."""

from __future__ import annotations

import functools
import os
from dataclasses import replace
from pathlib import Path

from zoo import discovery, recipes
from zoo.entry_points import PLUGINS_VARIABLE
from zoo.records import CallbackInfo, ModelInfo, PluginInfo, Recipe, Record, TaskInfo
from zoo.registry import Registry


def registry() -> Registry:
    """Return what is installed: the plugins and the recipe file, read once per process."""
    return _registry(os.environ.get(PLUGINS_VARIABLE), recipes.default_path())


@functools.cache
def _registry(plugins: str | None, recipe_file: Path) -> Registry:
    del plugins  # Read by discovery; here it is a key of the cache.
    return Registry(discovery.discover(), recipes.read(recipe_file))


def forget() -> None:
    """Read plugins and recipes anew when they are next asked for, after one was installed."""
    _registry.cache_clear()


def retried() -> Registry:
    """Return what is installed by now: plugins that failed before are asked once more."""
    return Registry(discovery.discover(retry=True), recipes.read(recipes.default_path()))


def register(*records: Record) -> None:
    """Add models, tasks, callbacks and other records in a program or notebook.

    It does what a plugin does, for this process; a target may be the class itself. What was
    registered under the same name before is replaced, as when a notebook cell is run again.
    Weights of what is registered load only where it is registered again.

    Args:
        *records: The declarations, such as a :class:`zoo.ModelInfo`.

    Raises:
        TypeError: An argument is no record, or its options are not declared as options.
        ValueError: A plugin declares the name, it is malformed, or a default is not allowed.

    Example:
        >>> import zoo
        >>> class Bell(zoo.Callback):
        ...     def __init__(self, options: zoo.Options) -> None: ...
        ...     def on_train_end(self, trainer): print("done")
        >>> zoo.register(zoo.CallbackInfo(name="bell", summary="Prints done", target=Bell))
    """
    known = registry()
    for record in records:
        if not isinstance(record, Record):
            raise TypeError(f"{record!r} is no record such as zoo.ModelInfo")
        discovery.check(record)
        name, provides = f"program: {record.name}", {record.kind: (record.name,)}
        info = PluginInfo(name, "", "", provides)
        known.remove(info)
        if known.has(type(record), record.name):
            raise ValueError(f"a plugin declares {record.kind} {record.name!r} already")
        known.add(discovery.Plugin(info, None, (replace(record, plugin=info),)))


def list_models(pattern: str = "") -> list[str]:
    """Return the names of the installed models that match a pattern such as ``*lstm*``.

    Args:
        pattern: With ``*`` for any characters; empty: all.

    Example:
        >>> import zoo
        >>> "bilstm" in zoo.list_models("*lstm*")
        True
    """
    return registry().names(ModelInfo, pattern)


def default_callback_names() -> list[str]:
    """Return the names of the callbacks that ``zoo train`` adds; no plugin is imported."""
    declared = registry().declarations(CallbackInfo)
    return [each.name for each in declared if each.facts.get("default")]


def list_tasks(pattern: str = "") -> list[str]:
    """Return the names of the installed tasks that match a pattern.

    Args:
        pattern: With ``*`` for any characters; empty: all.
    """
    return registry().names(TaskInfo, pattern)


def list_recipes(pattern: str = "") -> list[str]:
    """Return the names of the recipes that match a pattern.

    Args:
        pattern: With ``*`` for any characters; empty: all.
    """
    return registry().names(Recipe, pattern)
