"""From entry points to plugins: every plugin is loaded for itself, and blamed for itself."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import pluggy

from zoo import hookspecs
from zoo.records import ModelInfo, PluginInfo, TaskInfo

Record = TypeVar("Record", ModelInfo, TaskInfo)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin with the records it announced; none where it is broken."""

    info: PluginInfo
    models: tuple[ModelInfo, ...] = ()
    tasks: tuple[TaskInfo, ...] = ()


def plugin_manager() -> pluggy.PluginManager:
    """Return a fresh plugin manager that knows the zoo's hooks and no plugin."""
    manager = pluggy.PluginManager("zoo")
    manager.add_hookspecs(hookspecs)
    return manager


def installed() -> list[importlib.metadata.EntryPoint]:
    """Return the entry points of the group ``zoo``, sorted, without importing any of them."""
    points = importlib.metadata.entry_points(group=hookspecs.ENTRY_POINT_GROUP)
    return sorted(points, key=lambda point: (point.name, _distribution(point)[0]))


def discover(points: Iterable[importlib.metadata.EntryPoint] | None = None) -> list[Plugin]:
    """Load every plugin; a broken one is returned with its error and leaves the rest working."""
    return [_load(point) for point in (installed() if points is None else points)]


def _load(point: importlib.metadata.EntryPoint) -> Plugin:
    distribution, version = _distribution(point)
    models: tuple[ModelInfo, ...] = ()
    tasks: tuple[TaskInfo, ...] = ()
    error = ""
    # A manager of its own, so that what goes wrong in it can only be this plugin's doing.
    manager = plugin_manager()
    try:
        manager.register(point.load(), name=point.name)
        manager.check_pending()
        models = _records(manager.hook.zoo_models(), ModelInfo, "zoo_models")
        tasks = _records(manager.hook.zoo_tasks(), TaskInfo, "zoo_tasks")
    except (Exception, SystemExit) as exception:  # noqa: BLE001 - strangers may raise anything
        # In one line, whole: pluggy, for one, gives the cause in its second and third.
        error = " ".join(f"{type(exception).__name__}: {exception}".split())
        models, tasks = (), ()
    info = PluginInfo(
        name=point.name,
        distribution=distribution,
        version=version,
        models=tuple(model.name for model in models),
        tasks=tuple(task.name for task in tasks),
        error=error,
    )
    return Plugin(info, models, tasks)


def _records(results: object, kind: type[Record], hook: str) -> tuple[Record, ...]:
    """Flatten what a hook returned, and refuse anything that is not a record."""
    records: list[Record] = []
    assert isinstance(results, list)
    for result in results:
        if not isinstance(result, list | tuple):
            raise TypeError(f"{hook} returned {type(result).__name__}, not a list")
        for record in result:
            if not isinstance(record, kind):
                raise TypeError(
                    f"{hook} returned a {type(record).__name__} in its list, not a {kind.__name__}"
                )
            records.append(record)
    return tuple(records)


def _distribution(point: importlib.metadata.EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "unknown")
