"""Names to records: what is installed, who announced it, what a mistyped name may have meant."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from zoo.discovery import Plugin, discover
from zoo.errors import PluginError, UsageError
from zoo.records import ModelInfo, PluginInfo, TaskInfo

Record = TypeVar("Record", ModelInfo, TaskInfo)


class Registry:
    """The models and tasks of a set of plugins, by name.

    A name that two plugins claim belongs to neither: using it is an error that names both, and
    every other name keeps working.
    """

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.plugins = tuple(plugin.info for plugin in plugins)
        self._models, self._model_owners = _index((p.info, p.models) for p in plugins)
        self._tasks, self._task_owners = _index((p.info, p.tasks) for p in plugins)

    @classmethod
    def installed(cls) -> Registry:
        """Load the plugins of this Python environment."""
        return cls(discover())

    @property
    def clashes(self) -> list[str]:
        """The names that more than one plugin claims."""
        owners = {**self._model_owners, **self._task_owners}
        usable = self._models.keys() | self._tasks.keys()
        return sorted(name for name in owners if name not in usable)

    @property
    def models(self) -> list[ModelInfo]:
        """The usable models, by name."""
        return [self._models[name] for name in sorted(self._models)]

    @property
    def tasks(self) -> list[TaskInfo]:
        """The usable tasks, by name."""
        return [self._tasks[name] for name in sorted(self._tasks)]

    def model(self, name: str) -> ModelInfo:
        """Return the model of that name.

        Raises:
            UsageError: No plugin announces it; the message suggests near names.
            PluginError: More than one does.
        """
        return self._find("model", name, self._models, self._model_owners)

    def task(self, name: str) -> TaskInfo:
        """Return the task of that name; errors as for :meth:`model`."""
        return self._find("task", name, self._tasks, self._task_owners)

    def model_plugin(self, name: str) -> PluginInfo:
        """Return the plugin that announces the model."""
        self.model(name)
        return self._model_owners[name][0]

    def task_plugin(self, name: str) -> PluginInfo:
        """Return the plugin that announces the task."""
        self.task(name)
        return self._task_owners[name][0]

    def _find(
        self,
        kind: str,
        name: str,
        records: dict[str, Record],
        owners: dict[str, list[PluginInfo]],
    ) -> Record:
        if name in records:
            return records[name]
        if name in owners:
            rivals = " and ".join(plugin.distribution for plugin in owners[name])
            raise PluginError(
                f"{kind} {name!r} is ambiguous",
                why=f"announced by {rivals}",
                fix="uninstall all but one",
            )
        broken = [plugin.name for plugin in self.plugins if plugin.error]
        fix = f"see `zoo list --{kind}s`"
        if broken:
            fix += f" and `zoo plugins` (broken: {', '.join(broken)})"
        raise UsageError(f"no {kind} {name!r}{suggestion(name, records)}", fix=fix)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the names nearest to ``name``, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    if not near:
        return ""
    return f" (did you mean {' or '.join(repr(other) for other in near)}?)"


def resolve(target: str) -> Any:
    """Import the class that a record's ``target`` names.

    Raises:
        PluginError: The module does not import or has no such attribute.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise PluginError("target does not load", where=repr(target), why=str(error)) from error


def _index(
    announced: Iterable[tuple[PluginInfo, Sequence[Record]]],
) -> tuple[dict[str, Record], dict[str, list[PluginInfo]]]:
    owners: dict[str, list[PluginInfo]] = {}
    records: dict[str, Record] = {}
    for plugin, announcements in announced:
        for record in announcements:
            owners.setdefault(record.name, []).append(plugin)
            records[record.name] = record
    return {name: r for name, r in records.items() if len(owners[name]) == 1}, owners
