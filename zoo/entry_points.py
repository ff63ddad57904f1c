"""What is known of plugins without importing any: entry points, and the variables that choose."""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING, NamedTuple

from zoo.errors import ZooWarning

if TYPE_CHECKING:
    import importlib.metadata

GROUP = "zoo"
# The distribution of zoo itself, with the plugins that ship with it.
DISTRIBUTION = "seqzoo"
# The same files with fewer dependencies: it answers without torch. Files name the one above.
RUNTIME_DISTRIBUTION = "seqzoo-runtime"
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
        return _outermost(self.value)


def _outermost(value: str) -> str:
    return value.partition(":")[0].partition(".")[0].strip()


def chosen_names() -> set[str] | None:
    """Return the names in ``ZOO_PLUGINS``, or None where every plugin is to be loaded."""
    chosen = os.environ.get(PLUGINS_VARIABLE)
    return None if chosen is None else {name.strip() for name in chosen.split(",")} - {""}


def is_chosen(name: str) -> bool:
    """Return whether a plugin is to be loaded."""
    chosen = chosen_names()
    return chosen is None or name in chosen


def read_points() -> list[Point]:
    """Return every entry point of the group, chosen or not, sorted; the metadata is read.

    A package whose metadata cannot be read is left out, with a warning.
    """
    import importlib.metadata

    found: dict[str, list[Point]] = {}
    for package in importlib.metadata.distributions():
        try:
            points = [point for point in package.entry_points if point.group == GROUP]
            if not points:
                continue
            name, version = package.metadata["Name"], package.version
            if not (name and version):
                raise ValueError("it has no name or no version")
            if name == RUNTIME_DISTRIBUTION:
                name = DISTRIBUTION
        except Exception as error:  # noqa: BLE001 - whatever another package has there
            message = f"the metadata of a package cannot be read: {type(error).__name__}: {error}"
            warnings.warn(
                f"{' '.join(message.split())} ({_folder(package)})", ZooWarning, stacklevel=3
            )
            continue
        # Of packages of one name, the first one along sys.path is meant.
        found.setdefault(
            re.sub("[-_.]+", "-", name).lower(),
            [
                Point(point.name, point.value, name, version, _location(point.value))
                for point in points
            ],
        )
    return sorted(point for points in found.values() for point in points)


def _folder(package: importlib.metadata.Distribution) -> str:
    return str(getattr(package, "_path", package.locate_file("")))


def _location(value: str) -> str:
    """Return the file of the outermost package of a module, which is not imported for it."""
    import importlib.util

    try:
        spec = importlib.util.find_spec(_outermost(value))
    except Exception:  # noqa: BLE001 - finders of other packages are asked; importing it says why
        return ""
    if spec is None:
        return ""
    folders = list(spec.submodule_search_locations or ())
    return spec.origin or (folders[0] if folders else "")
