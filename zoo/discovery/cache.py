"""The cache of what plugins declare, ``plugins.json`` in zoo's cache folder.

It has two parts: the entry points that were found along a ``sys.path``, and what each plugin
declares. The first one holds as long as the folders of the path are unchanged, the second one as
long as the plugin's files are. What is damaged is made anew, and nothing that is named in it is
imported on its word alone.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from zoo import __version__
from zoo.discovery import declarations
from zoo.discovery.declarations import Answer
from zoo.discovery.plugins import DeclaredPlugin
from zoo.entry_points import Point
from zoo.errors import DiskError, WeightsError
from zoo.files import cache_folder, read_json, write_atomically
from zoo.records import PluginInfo

NAME = "plugins.json"
_FORMAT = 1  # Of the file; another one is made anew.
# Of the latest ones. The file is read whenever zoo starts, and is shared by all environments.
_MOST_PATHS, _MOST_PLUGINS = 16, 64
_LARGEST = 64 << 20

Stamp = list[int]
T = TypeVar("T")


class Cache:
    """What is cached, read once; :meth:`write` writes it if it changed."""

    def __init__(self) -> None:
        self._path = cache_folder() / NAME
        self._paths: dict[str, Any] = {}
        self._plugins: dict[str, Any] = {}
        self._used: dict[str, Any] = {}
        self._stamps: dict[str, Stamp] = {}
        self._changed = False
        try:
            if self._path.is_file() and self._path.stat().st_size <= _LARGEST:
                document = read_json(self._path)
                if document["format"] == _FORMAT:
                    self._paths = {**document["paths"]}
                    self._plugins = {**document["plugins"]}
        except (WeightsError, OSError, KeyError, TypeError, RecursionError):
            pass  # Damaged: made anew.

    def points(self) -> list[Point] | None:
        """Return the entry points along ``sys.path``, or None where they have to be read."""
        found: Any = self._paths.get(_environment())

        def read() -> list[Point]:
            if found["folders"] != _folders():
                raise ValueError("a package was installed or removed")
            return [Point(*map(str, point)) for point in found["points"]]

        return _valid(read) if found else None

    def put_points(self, points: Sequence[Point]) -> None:
        """Store the entry points along ``sys.path``."""
        self._paths.pop(_environment(), None)
        self._paths[_environment()] = {"folders": _folders(), "points": points}
        self._changed = True

    def plugin(self, point: Point, *, retry: bool) -> DeclaredPlugin | None:
        """Return a plugin, or None where it has to be asked.

        Args:
            point: Its entry point.
            retry: Whether one that failed has to be asked again; otherwise it has to be where
                something was installed since.
        """
        found: Any = self._plugins.get(_key(point))

        def read() -> DeclaredPlugin:
            failed = "error" in found["answer"]
            if failed and (retry or found["folders"] != _folders(without_current=True)):
                raise ValueError("what it lacked may be there now")
            if any(self._stamp(file) != stamp for file, stamp in found["files"].items()):
                raise ValueError("a file has changed")
            return declared(point, found["answer"])

        plugin = _valid(read) if found else None
        if plugin is not None:
            self._used[_key(point)] = found
        return plugin

    def _stamp(self, file: str) -> Stamp:
        if file not in self._stamps:  # Plugins of a package share files.
            self._stamps[file] = _stamp(file)
        return self._stamps[file]

    def put_plugin(self, point: Point, answer: Answer, since: int) -> None:
        """Store what a plugin declared, unless a file of it changed meanwhile.

        Args:
            point: Its entry point.
            answer: What it declares.
            since: When it was asked, in nanoseconds.
        """
        files = answer["files"]
        if files is None:
            return
        stamps = {file: _stamp(file) for file in (*files, *answer.get("recipes", ()))}
        self._plugins.pop(_key(point), None)
        if all(stamp[0] < since for stamp in stamps.values()):
            folders = _folders(without_current=True)
            kept = {key: value for key, value in answer.items() if key != "files"}
            entry = {"files": stamps, "folders": folders, "answer": kept}
            self._plugins[_key(point)] = self._used[_key(point)] = entry
        self._changed = True

    def write(self) -> None:
        """Write the cache where it changed and a file can be written; it is not needed."""
        if not self._changed or self._path.parts[0] == "~":  # There is no home folder.
            return
        latest = [item for item in self._plugins.items() if item[0] not in self._used]
        others = max(_MOST_PLUGINS - len(self._used), 0)
        document = {
            "format": _FORMAT,
            "paths": dict([*self._paths.items()][-_MOST_PATHS:]),
            "plugins": {**dict(latest[-others:] if others else []), **self._used},
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, json.dumps(document).encode())
        except (DiskError, OSError):
            pass


def declared(point: Point, answer: Mapping[str, Any]) -> DeclaredPlugin:
    """Return the plugin of an answer.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: The answer is not of that form.
    """
    info = PluginInfo(point.name, point.distribution, point.version)
    if "error" in answer:
        return DeclaredPlugin(point, PluginInfo(*_of(info), error=str(answer["error"])))
    provides = {str(kind): tuple(map(str, names)) for kind, names in answer["provides"].items()}
    info = PluginInfo(*_of(info), provides)
    return DeclaredPlugin(
        point,
        info,
        tuple(declarations.from_json(each, info) for each in answer["declarations"]),
        tuple(Path(path) for path in answer["recipes"]),
        bool(answer["has_environment"]),
    )


def _of(info: PluginInfo) -> tuple[str, str, str]:
    return info.name, info.distribution, info.version


def _valid(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


def _environment() -> str:
    return "\n".join([platform.python_version(), *map(str, sys.path)])


def _key(point: Point) -> str:
    return "\n".join([__version__, platform.python_version(), *point])


def _folders(*, without_current: bool = False) -> dict[str, Stamp]:
    """Return the folders of ``sys.path``; installing a package changes one.

    Args:
        without_current: Leave out the current one, which changes with every file of the user.
    """
    folders: Iterable[str] = map(str, sys.path)
    if without_current:
        current = os.path.realpath("")
        folders = (folder for folder in folders if os.path.realpath(folder) != current)
    return {folder: _stamp(folder)[:1] for folder in folders}


def _stamp(path: str) -> Stamp:
    """Return what changes when a file does: it is the digest of a file that need not be read."""
    try:
        found = Path(path).stat()
    except OSError:
        return [0]
    # The time of the last change of status cannot be set back, as that of the content can.
    return [found.st_mtime_ns, found.st_ctime_ns, found.st_size]
