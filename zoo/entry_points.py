"""What is known of plugins without importing any: entry points, and the variables that choose."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import importlib.metadata

GROUP = "zoo"
# Names of plugins to load, separated by commas; empty: none; unset: all.
PLUGINS_VARIABLE = "ZOO_PLUGINS"
# Another recipe file in place of zoo's own.
REGISTRY_VARIABLE = "ZOO_REGISTRY"


def entry_points() -> list[importlib.metadata.EntryPoint]:
    """Return the entry points of the plugins to load, sorted."""
    import importlib.metadata

    points = importlib.metadata.entry_points(group=GROUP)
    chosen = os.environ.get(PLUGINS_VARIABLE)
    names = None if chosen is None else {name.strip() for name in chosen.split(",")}
    found = [point for point in points if names is None or point.name in names]
    return sorted(found, key=lambda point: (point.name, distribution(point)[0]))


def distribution(point: importlib.metadata.EntryPoint) -> tuple[str, str]:
    """Return name and version of the package that an entry point is of."""
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "unknown")
