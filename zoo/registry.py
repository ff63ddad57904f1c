"""Names to records: what is installed, who declared it, what a mistyped name may have meant."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Protocol, TypeVar

import pluggy

from zoo.discovery import Plugin, plugin_manager
from zoo.errors import PluginError, UsageError, did_you_mean
from zoo.recipes import RecipeFile, check_data_names
from zoo.records import PluginInfo


class _Named(Protocol):
    kind: ClassVar[str]

    @property
    def name(self) -> str: ...
    @property
    def plugin(self) -> PluginInfo | None: ...


R = TypeVar("R", bound=_Named)


class Registry:
    """The records of a set of plugins and of one recipe file, by kind and name.

    A name that two plugins declare is ambiguous: using it is an error that names both, and
    ``DISTRIBUTION:NAME`` chooses one. Every other name keeps working.

    Args:
        plugins: The plugins, as :func:`zoo.discovery.discover` returns them.
        recipe_file: The recipe file of the user, or zoo's own.

    Attributes:
        manager: The plugin manager, in which every valid plugin is registered.
    """

    def __init__(
        self, plugins: Iterable[Plugin] = (), recipe_file: RecipeFile | None = None
    ) -> None:
        self.manager: pluggy.PluginManager = plugin_manager()
        self._plugins: list[PluginInfo] = []
        self._records: dict[tuple[str, str], list[Any]] = {}
        plugins = list(plugins)
        files = [file for plugin in plugins for file in plugin.recipe_files]
        files += [recipe_file] if recipe_file is not None else []
        datasets = {name for file in files for name in file.datasets}
        if recipe_file is not None:
            check_data_names(recipe_file.recipes.values(), datasets)
            self._add(recipe_file.datasets.values())
            self._add(recipe_file.recipes.values())
        for plugin in plugins:
            self.add(_with_known_data(plugin, datasets))

    def add(self, plugin: Plugin) -> None:
        """Add a plugin, valid or not."""
        self._plugins.append(plugin.info)
        self._add(plugin.records)
        for file in plugin.recipe_files:
            self._add(file.datasets.values())
            self._add(file.recipes.values())
        if plugin.module is not None and not self.manager.is_registered(plugin.module):
            self.manager.register(plugin.module)

    def remove(self, info: PluginInfo) -> None:
        """Remove a plugin and its records, if it was added before."""
        self._plugins = [known for known in self._plugins if known != info]
        for key, found in list(self._records.items()):
            self._records[key] = [record for record in found if record.plugin != info]
            if not self._records[key]:
                del self._records[key]

    def _add(self, records: Iterable[_Named]) -> None:
        for record in records:
            self._records.setdefault((record.kind, record.name), []).append(record)

    @property
    def plugins(self) -> tuple[PluginInfo, ...]:
        """Every plugin, including those that failed."""
        return tuple(self._plugins)

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the plugins that failed."""
        return tuple(info.name for info in self._plugins if info.error)

    @property
    def clashes(self) -> list[str]:
        """The names that more than one plugin declares."""
        return sorted({name for (_, name), found in self._records.items() if len(found) > 1})

    def all(self, kind: type[R]) -> list[R]:
        """Return the records of a kind, by name, without ambiguous ones."""
        wanted = [key for key in self._records if key[0] == kind.kind]
        return [self._records[key][0] for key in sorted(wanted) if len(self._records[key]) == 1]

    def names(self, kind: type[R], pattern: str = "") -> list[str]:
        """Return the sorted names of a kind that match a pattern such as ``*lstm*``."""
        return [r.name for r in self.all(kind) if fnmatchcase(r.name, pattern or "*")]

    def has(self, kind: type[R], name: str) -> bool:
        """Whether some plugin declares the name or ``DISTRIBUTION:NAME``, ambiguous or not."""
        return bool(self._find(kind, name))

    def get(self, kind: type[R], name: str) -> R:
        """Return the record of a name, or of ``DISTRIBUTION:NAME``.

        Raises:
            UsageError: No plugin declares it; the message suggests near names.
            PluginError: More than one does.
        """
        found = self._find(kind, name)
        if len(found) == 1:
            return found[0]
        if found:
            bare = name.rpartition(":")[2]
            owners = [_owner(record).distribution for record in found]
            raise PluginError(
                f"{kind.kind} {name!r} is ambiguous",
                why=f"declared by {' and '.join(owners)}",
                fix=f"say {' or '.join(f'{owner}:{bare}' for owner in owners)}",
            )
        fix = f"see `zoo list --{kind.kind}s`"
        if self.broken:
            fix += f" and `zoo plugins` (broken: {', '.join(self.broken)})"
        near = did_you_mean(name, self.names(kind))
        raise UsageError(f"no {kind.kind} {name!r}{near}", fix=fix)

    def _find(self, kind: type[R], name: str) -> list[R]:
        distribution, _, bare = name.rpartition(":")
        return [
            record
            for record in self._records.get((kind.kind, bare), [])
            if not distribution or _owner(record).distribution == distribution
        ]

    def environment(self) -> dict[str, str]:
        """Return the facts that plugins report for ``zoo env``."""
        facts: dict[str, str] = {}
        for implementation in self.manager.hook.zoo_environment.get_hookimpls():
            try:
                found: Any = implementation.function()
                facts |= {str(key): str(value) for key, value in found.items()}
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything
                name = f"zoo_environment of {implementation.plugin_name}"
                facts[name] = f"failed: {type(error).__name__}: {error}"
        return facts


def resolve_target(target: str | Callable[..., Any]) -> Any:
    """Import what the ``target`` of a record names; a target that is a class is returned.

    Raises:
        PluginError: The module does not import or has no such attribute.
    """
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        why = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise PluginError("target does not load", where=repr(target), why=why) from error


def _with_known_data(plugin: Plugin, datasets: Collection[str]) -> Plugin:
    """Return the plugin, or without what it declares if a recipe of it names unknown data."""
    try:
        for file in plugin.recipe_files:
            check_data_names(file.recipes.values(), datasets)
    except UsageError as error:
        return Plugin(replace(plugin.info, provides={}, error=f"{type(error).__name__}: {error}"))
    return plugin


def _owner(record: _Named) -> PluginInfo:
    return record.plugin or PluginInfo("registry", "the recipe file", "")
