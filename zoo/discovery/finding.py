"""The installed plugins: from the cache or, where they are new to it, asked what they declare."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterable, Sequence

from zoo.discovery.cache import Cache, declared
from zoo.discovery.declarations import Answer
from zoo.discovery.plugins import DeclaredPlugin
from zoo.entry_points import (
    DISTRIBUTION,
    PLUGINS_VARIABLE,
    Point,
    chosen_names,
    is_chosen,
    read_points,
)
from zoo.errors import ZooWarning, did_you_mean


def discover(*, retry: bool = False) -> list[DeclaredPlugin]:
    """Return the installed plugins by name; of those that failed, the error.

    What a plugin declares is cached. One that is not in the cache is imported in a process of its
    own; those that ship with zoo, which are trusted like zoo, in this one. A name in
    ``ZOO_PLUGINS`` that no entry point has is reported by a warning.

    Args:
        retry: Ask those again that failed the last time.
    """
    cache = Cache()
    points = cache.points()
    if points is None:
        points = read_points()
        cache.put_points(points)
    _warn_of_unknown_names(points)
    wanted = [point for point in points if is_chosen(point.name)]
    found = {point: cache.plugin(point, retry=retry) for point in wanted}
    started = time.time_ns()
    for point, answer in _ask([point for point in wanted if found[point] is None]).items():
        found[point] = declared(point, answer)
        cache.put_plugin(point, answer, started)
    cache.write()
    return [plugin for plugin in found.values() if plugin is not None]


def _ask(points: Sequence[Point]) -> dict[Point, Answer]:
    if not points:
        return {}
    from zoo.discovery.processes import ask_all

    own = [point for point in points if point.distribution == DISTRIBUTION]
    return {**_ask_here(own), **ask_all(point for point in points if point not in own)}


def _ask_here(points: Sequence[Point]) -> dict[Point, Answer]:
    from zoo.discovery import child

    answers = {point: child.ask(point) for point in points}
    packages = {point.package for point in points}
    # One may be built on another one.
    loaded = child.loaded_files(tuple(sys.modules), packages) if points else []
    for point, answer in answers.items():
        answer["files"] = [*child.package_files(point), *loaded]
    return answers


def _warn_of_unknown_names(points: Iterable[Point]) -> None:
    installed = [point.name for point in points]
    for name in sorted((chosen_names() or set()) - {*installed}):
        message = f"{PLUGINS_VARIABLE}: no plugin {name!r}{did_you_mean(name, installed)}"
        warnings.warn(message, ZooWarning, stacklevel=3)
