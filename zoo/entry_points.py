"""What is known of plugins without importing any: entry points, and the variables that choose."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import importlib.metadata

GROUP = "zoo"
# The distribution of zoo itself, with the plugins that ship with it.
DISTRIBUTION = "seqzoo"
# Names of plugins to load, separated by commas; empty: none; unset: all.
PLUGINS_VARIABLE = "ZOO_PLUGINS"
# Another recipe file in place of zoo's own.
REGISTRY_VARIABLE = "ZOO_REGISTRY"


class Point(NamedTuple):
    """An entry point of a plugin.

    Args:
        name: Its name, which is that of the plugin.
        value: ``"module"`` or ``"module:attribute"``.
        distribution: The package that declares it.
        version: The version of that package.
        location: The file that the module's outermost package is imported from; empty where there
            is none.
    """

    name: str
    value: str
    distribution: str
    version: str
    location: str = ""

    @property
    def package(self) -> str:
        """The outermost package of the module."""
        return self.value.partition(":")[0].partition(".")[0].strip()


def entry_points() -> list[importlib.metadata.EntryPoint]:
    """Return the entry points of the plugins to load, sorted."""
    import importlib.metadata

    points = importlib.metadata.entry_points(group=GROUP)
    found = [point for point in points if is_chosen(point.name)]
    return sorted(found, key=lambda point: (point.name, distribution(point)[0]))


def chosen_names() -> set[str] | None:
    """Return the names in ``ZOO_PLUGINS``, or None where every plugin is to be loaded."""
    chosen = os.environ.get(PLUGINS_VARIABLE)
    return None if chosen is None else {name.strip() for name in chosen.split(",")} - {""}


def is_chosen(name: str) -> bool:
    """Return whether a plugin is to be loaded."""
    chosen = chosen_names()
    return chosen is None or name in chosen


def distribution(point: importlib.metadata.EntryPoint) -> tuple[str, str]:
    """Return name and version of the package that an entry point is of."""
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "unknown")


def read_points() -> list[Point]:
    """Return every entry point of the group, chosen or not, sorted; the metadata is read."""
    import importlib.metadata

    points = [
        Point(point.name, point.value, *distribution(point))
        for point in importlib.metadata.entry_points(group=GROUP)
    ]
    return sorted(point._replace(location=_location(point.package)) for point in points)


def _location(package: str) -> str:
    """Return the file of an outermost package or module, which is not imported for it."""
    import importlib.util

    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError, AttributeError):
        return ""
    if spec is None:
        return ""
    folders = list(spec.submodule_search_locations or ())
    return spec.origin or (folders[0] if folders else "")
