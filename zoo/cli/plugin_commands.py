"""Commands of plugins: their names and summaries are cached, so that help imports no plugin."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from zoo import __version__
from zoo.entry_points import PLUGINS_VARIABLE
from zoo.errors import DiskError, PluginError, WeightsError
from zoo.files import cache_folder, read_json, write_json


def summaries() -> dict[str, str]:
    """Return the summaries of the commands of plugins, by name."""
    path = cache_folder() / "commands.json"
    try:
        cached = read_json(path)
        if cached["key"] == _key() and all(
            _changed(file) == changed for file, changed in cached["files"].items()
        ):
            found = cached["commands"]
            return {str(name): str(summary) for name, summary in found.items()}
    except (WeightsError, KeyError, AttributeError, TypeError):
        pass  # Not there yet, or damaged: written again below.
    from zoo.discovery import discover
    from zoo.records import CommandInfo

    plugins = discover()
    commands = {
        record.name: record.summary
        for plugin in plugins for record in plugin.records if isinstance(record, CommandInfo)
    }  # fmt: skip
    if any(plugin.info.error for plugin in plugins):
        return commands  # What it lacks may be installed at any time.
    files = [getattr(plugin.module, "__file__", None) for plugin in plugins]
    changed = {str(file): _changed(file) for file in files if file}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"key": _key(), "files": changed, "commands": commands})
    except (DiskError, OSError):
        pass  # It is a cache: without it, help takes longer.
    return commands


def _key() -> list[object]:
    """Return what changes when a package is installed, and which plugins are chosen.

    Reading all entry points would take longer than everything else that help does.
    """
    folders = [[folder, _changed(folder)] for folder in sys.path]
    return [__version__, os.environ.get(PLUGINS_VARIABLE), *folders]


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def load(name: str) -> click.Command | None:
    """Return the command of a plugin, or None if no plugin has one of that name.

    Args:
        name: Its name or, where two plugins declare it, ``DISTRIBUTION:NAME``.

    Raises:
        PluginError: It does not load or is no command, or two plugins declare it.
    """
    from zoo.installed import registry
    from zoo.records import CommandInfo
    from zoo.registry import resolve_target

    if not registry().has(CommandInfo, name.rpartition(":")[2]):
        return None
    info = registry().get(CommandInfo, name)
    command = resolve_target(info.target)
    if not isinstance(command, click.Command):
        raise PluginError(f"the target of command {info.name!r} is no click.Command")
    return command
