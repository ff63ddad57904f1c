"""Names to records: what is installed, who declared it, what a mistyped name may have meant."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Protocol, TypeVar

from zoo import recipes
from zoo.discovery import (
    Declaration,
    DeclaredPlugin,
    Plugin,
    declare,
    described,
    printing_to_stderr,
)
from zoo.entry_points import DISTRIBUTION, Point
from zoo.errors import PluginError, UsageError, ZooWarning, did_you_mean
from zoo.recipes import RecipeFile, check_data_names
from zoo.records import PluginInfo, Record


class _Named(Protocol):
    kind: ClassVar[str]

    @property
    def name(self) -> str: ...
    @property
    def plugin(self) -> PluginInfo | None: ...


R = TypeVar("R", bound=_Named)

# Who declares what is in the recipe file of zoo or of the user.
_RECIPE_FILE = PluginInfo("registry", "the recipe file", "")
# Of these kinds the recipe file and zoo itself have the first claim on a name: what is published
# and the commands mean the same, whatever else is installed.
_PUBLISHED = ("recipe", "dataset", "command")


class Registry:
    """The records of a set of plugins and of one recipe file, by kind and name.

    An installed plugin is imported when :meth:`get` returns a record of it, and not before: lists
    are made of declarations.

    A name that two plugins declare is ambiguous: using it is an error that names both, and
    ``DISTRIBUTION:NAME`` chooses one. Every other name keeps working. Recipes and data sets of the
    recipe file, and recipes and commands of zoo's own, are meant before those of other plugins.

    Args:
        plugins: The plugins, as :func:`zoo.discovery.discover` returns them.
        recipe_file: The recipe file of the user, or zoo's own.
    """

    def __init__(
        self,
        plugins: Iterable[Plugin | DeclaredPlugin] = (),
        recipe_file: RecipeFile | None = None,
    ) -> None:
        self._plugins: list[PluginInfo] = []
        self._declared: dict[tuple[str, str], DeclaredPlugin] = {}
        self._imported: dict[tuple[str, str], Plugin] = {}
        self._records: dict[tuple[str, str], list[Any]] = {}
        read = [_with_recipes(plugin) for plugin in plugins]
        files = [file for _, brought in read for file in brought]
        files += [recipe_file] if recipe_file is not None else []
        datasets = {name for file in files for name in file.datasets}
        if recipe_file is not None:
            check_data_names(recipe_file.recipes.values(), datasets)
            self._add(recipe_file.datasets.values())
            self._add(recipe_file.recipes.values())
        for plugin, brought in read:
            self._add_plugin(*_with_known_data(plugin, brought, datasets))

    def add(self, plugin: Plugin | DeclaredPlugin) -> None:
        """Add a plugin, valid or not."""
        self._add_plugin(*_with_recipes(plugin))

    def _add_plugin(
        self, plugin: Plugin | DeclaredPlugin, recipe_files: Iterable[RecipeFile]
    ) -> None:
        self._plugins.append(plugin.info)
        if isinstance(plugin, DeclaredPlugin):
            self._declared[_key(plugin.info)] = plugin
            self._add(plugin.declarations)
        else:
            self._add(plugin.records)
        for file in recipe_files:
            self._add(file.datasets.values())
            self._add(file.recipes.values())

    def remove(self, info: PluginInfo) -> None:
        """Remove a plugin and its records, if it was added before."""
        self._plugins = [known for known in self._plugins if known != info]
        for key, found in list(self._records.items()):
            self._records[key] = [record for record in found if record.plugin != info]
            if not self._records[key]:
                del self._records[key]

    def _add(self, records: Iterable[_Named | Declaration]) -> None:
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
        """Return the records of a kind, by name, without ambiguous ones.

        Their plugins are imported. A record whose plugin does not load is left out, with a
        warning.
        """
        found = []
        for name in self.names(kind):
            try:
                found.append(self.get(kind, name))
            except PluginError as error:
                warnings.warn(str(error), ZooWarning, stacklevel=2)
        return found

    def names(self, kind: type[R], pattern: str = "") -> list[str]:
        """Return the sorted names of a kind that match a pattern such as ``*lstm*``."""
        names = sorted(name for of_kind, name in self._records if of_kind == kind.kind)
        return [
            name
            for name in names
            if fnmatchcase(name, pattern or "*") and len(self._find(kind, name)) == 1
        ]

    def has(self, kind: type[R], name: str) -> bool:
        """Whether some plugin declares the name or ``DISTRIBUTION:NAME``, ambiguous or not."""
        return bool(self._find(kind, name))

    def get(self, kind: type[R], name: str, *, prefer: Sequence[str] = ()) -> R:
        """Return the record of a name, or of ``DISTRIBUTION:NAME``; its plugin is imported.

        Args:
            kind: The class of the record.
            name: Its name.
            prefer: Distributions whose record is meant, the first one before the second, where
                several plugins declare the name.

        Raises:
            UsageError: No plugin declares it; the message suggests near names.
            PluginError: More than one does, or the plugin does not load.
        """
        found = self._one(kind, name, prefer)
        record: R = self._record(found) if isinstance(found, Declaration) else found
        return record

    def declaration(
        self, kind: type[Record], name: str, *, prefer: Sequence[str] = ()
    ) -> Declaration:
        """Return what is declared under a name; as :meth:`get`, but nothing is imported."""
        found = self._one(kind, name, prefer)
        return found if isinstance(found, Declaration) else declare(found)

    def declarations(self, kind: type[Record], *, prefer: Sequence[str] = ()) -> list[Declaration]:
        """Return what is declared of a kind, by name, without ambiguous ones.

        Args:
            kind: The class of the records.
            prefer: Distributions whose record is meant where several plugins declare a name.
        """
        names = sorted(name for of_kind, name in self._records if of_kind == kind.kind)
        return [
            self.declaration(kind, name, prefer=prefer)
            for name in names
            if len(self._find(kind, name, prefer)) == 1
        ]

    def full_name(self, kind: type[Record], name: str, *, prefer: Sequence[str]) -> str:
        """Return a name as it has to be typed: ``DISTRIBUTION:NAME`` where it is ambiguous."""
        if len(self._find(kind, name)) < 2:
            return name
        found = self._one(kind, name, prefer)
        return f"{_owner(found).distribution}:{name.rpartition(':')[2]}"

    def _one(self, kind: type[Any], name: str, prefer: Sequence[str]) -> Any:
        found = self._find(kind, name, prefer)
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

    def _find(self, kind: type[Any], name: str, prefer: Sequence[str] = ()) -> list[Any]:
        distribution, _, bare = name.rpartition(":")
        found = [
            record
            for record in self._records.get((kind.kind, bare), [])
            if not distribution or _owner(record).distribution == distribution
        ]
        if len(found) < 2:
            return found
        first = (_RECIPE_FILE.distribution, DISTRIBUTION) if kind.kind in _PUBLISHED else ()
        for wanted in (*prefer, *first):
            own = [record for record in found if _owner(record).distribution == wanted]
            if len(own) == 1:
                return own
        return found

    def _record(self, declaration: Declaration) -> Any:
        """Import the plugin of a declaration and return its record."""
        info = _owner(declaration)
        if _key(info) not in self._imported:
            self._imported[_key(info)] = self._declared[_key(info)].load()
        for record in self._imported[_key(info)].records:
            if (record.kind, record.name) == (declaration.kind, declaration.name):
                return record
        raise PluginError(
            f"plugin {info.name!r} does not declare {declaration.kind} {declaration.name!r}",
            where=str(info),
            why="it did when it was imported for the first time",
            fix="see `zoo plugins`",
        )

    def environment(self) -> dict[str, str]:
        """Return the facts that plugins report for ``zoo env``, each in a process of its own."""
        from zoo.discovery.processes import ask_all

        facts: dict[str, str] = {}
        points: list[Point] = [
            plugin.point for plugin in self._declared.values() if plugin.has_environment
        ]
        for point, answer in ask_all(points, "environment").items():
            if "error" in answer:
                facts[f"zoo_environment of {point.name}"] = f"failed: {answer['error']}"
            else:
                facts |= answer["facts"]
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
        with printing_to_stderr():
            return getattr(importlib.import_module(module), attribute)
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        raise PluginError(
            "target does not load", where=repr(target), why=described(error)
        ) from error


def _with_recipes(
    plugin: Plugin | DeclaredPlugin,
) -> tuple[Plugin | DeclaredPlugin, tuple[RecipeFile, ...]]:
    """Return a plugin and its recipe files; without what it declares if one cannot be read."""
    if isinstance(plugin, Plugin):
        return plugin, plugin.recipe_files
    try:
        return plugin, tuple(recipes.read(path, plugin.info) for path in plugin.recipe_paths)
    except UsageError as error:
        return _failed(plugin, error), ()


def _with_known_data(
    plugin: Plugin | DeclaredPlugin,
    recipe_files: tuple[RecipeFile, ...],
    datasets: Collection[str],
) -> tuple[Plugin | DeclaredPlugin, tuple[RecipeFile, ...]]:
    """Return the plugin, or without what it declares if a recipe of it names unknown data."""
    try:
        for file in recipe_files:
            check_data_names(file.recipes.values(), datasets)
    except UsageError as error:
        return _failed(plugin, error), ()
    return plugin, recipe_files


def _failed(plugin: Plugin | DeclaredPlugin, error: UsageError) -> Plugin:
    return Plugin(replace(plugin.info, provides={}, error=f"{type(error).__name__}: {error}"))


def _key(info: PluginInfo) -> tuple[str, str]:
    return info.name, info.distribution


def _owner(record: _Named | Declaration) -> PluginInfo:
    return record.plugin or _RECIPE_FILE
