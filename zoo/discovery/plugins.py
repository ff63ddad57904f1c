"""Plugins: one that is known by what it declares, and the same one imported."""

from __future__ import annotations

import contextlib
import io
import sys
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.discovery.declarations import Declaration
from zoo.entry_points import DISTRIBUTION, GROUP, RUNTIME_DISTRIBUTION, Point
from zoo.errors import PluginError, shortened
from zoo.recipes import RecipeFile
from zoo.records import PluginInfo, Record

_LONGEST = 300  # Characters of what is told of an exception.


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin that is imported, or that a program registered.

    Args:
        info: Its name, its package and its error.
        module: What the entry point names; None for what a program registers.
        records: What its hooks returned.
        recipe_files: The recipe files that it brings.
    """

    info: PluginInfo
    module: object = None
    records: tuple[Record, ...] = ()
    recipe_files: tuple[RecipeFile, ...] = ()


@dataclass(frozen=True, slots=True)
class DeclaredPlugin:
    """An installed plugin, known by what it declares; nothing where it failed.

    Args:
        point: Its entry point.
        info: Its name, its package and its error.
        declarations: Its records.
        recipe_paths: The recipe files that it brings.
        has_environment: Whether it has facts for ``zoo env``.
    """

    point: Point
    info: PluginInfo
    declarations: tuple[Declaration, ...] = ()
    recipe_paths: tuple[Path, ...] = ()
    has_environment: bool = False

    def load(self) -> Plugin:
        """Import the plugin in this process, because one of its records is used.

        Raises:
            PluginError: It fails, although it did not when it was imported for the first time.
        """
        try:
            _check_installed(self.point)
            return load(self.point)
        except (KeyboardInterrupt, MemoryError):
            raise  # Of the user: a plugin that raises them at import has failed before.
        except BaseException as error:
            raise PluginError(
                f"plugin {self.info.name!r} does not load",
                where=str(self.info),
                why=described(error),
                fix="see `zoo plugins`",
            ) from error


def load(point: Point) -> Plugin:
    """Import and validate the plugin of an entry point, in whatever process this is.

    What it prints meanwhile goes to stderr: stdout is for results.

    Raises:
        BaseException: Whatever the plugin raises.
    """
    from zoo.discovery.validation import validate

    with printing_to_stderr(), warnings.catch_warnings():
        return validate(import_module(point), PluginInfo(*point[:1], *point[2:4]))


def import_module(point: Point) -> Any:
    """Import what an entry point names.

    Raises:
        BaseException: Whatever the plugin raises.
    """
    import importlib.metadata

    return importlib.metadata.EntryPoint(point.name, point.value, GROUP).load()


@contextlib.contextmanager
def printing_to_stderr() -> Iterator[None]:
    """Keep what is printed off stdout, which is for results."""
    with contextlib.redirect_stdout(_Stderr()):
        yield


class _Stderr(io.TextIOBase):
    """Writes to stderr, and does not close it when it is closed."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)


def _check_installed(point: Point) -> None:
    """Check that the entry point is in the metadata of its package, not in the cache alone.

    The cache may lie in a folder that others write to. What it says is listed, and nothing that
    it alone says is imported.
    """
    import importlib.metadata

    try:
        package = importlib.metadata.distribution(point.distribution)
    except importlib.metadata.PackageNotFoundError:
        if point.distribution != DISTRIBUTION:
            raise
        package = importlib.metadata.distribution(RUNTIME_DISTRIBUTION)
    found = package.entry_points
    if (point.name, point.value) not in {(p.name, p.value) for p in found if p.group == GROUP}:
        raise LookupError(f"{point.distribution} has no entry point {point.name!r}")


def described(error: BaseException) -> str:
    """Return an exception in one line, with the plugin's own line that raised it."""
    try:
        text = str(error)
    except BaseException as second:  # noqa: BLE001 - a plugin may raise anything
        text = f"its __str__ raises {type(second).__name__}"
    # In one line: pluggy, for one, gives the cause in its second and third.
    message = shortened(" ".join(f"{type(error).__name__}: {text}".split()), _LONGEST)
    place = _place(error)
    return f"{message} ({place})" if place and not isinstance(error, SyntaxError) else message


def _place(error: BaseException) -> str:
    """Return file and line of the innermost call that is neither zoo's nor a library's."""
    own = (str(Path(__file__).parent.parent), "<")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        is_library = {"pluggy", "importlib", "contextlib.py"} & {*Path(frame.filename).parts}
        if not frame.filename.startswith(own) and not is_library:
            return f"{Path(frame.filename).name}, line {frame.lineno}"
    return ""
