"""Commands of plugins: their names and summaries are cached, so that help imports no plugin."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from pathlib import Path

import click

from zoo import discovery
from zoo.errors import DiskError, PluginError, WeightsError
from zoo.files import cache_folder, read_json, write_json
from zoo.records import CommandInfo
from zoo.registry import resolve_target


def summaries() -> dict[str, str]:
    """Return the summaries of the commands of plugins, by name."""
    path = cache_folder() / "commands.json"
    key = json.dumps([_fingerprint(point) for point in discovery.entry_points()])
    try:
        cached = read_json(path)
        if cached.get("key") == key:
            found = cached["commands"]
            return {str(name): str(summary) for name, summary in found.items()}
    except (WeightsError, KeyError, AttributeError):
        pass  # Not there yet, or damaged: written again below.
    plugins = discovery.discover()
    commands = {
        record.name: record.summary
        for plugin in plugins for record in plugin.records if isinstance(record, CommandInfo)
    }  # fmt: skip
    if any(plugin.info.error for plugin in plugins):
        return commands  # What it lacks may be installed at any time.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"key": key, "commands": commands})
    except (DiskError, OSError):
        pass  # It is a cache: without it, help takes longer.
    return commands


def load(name: str) -> click.Command | None:
    """Return the command of a plugin, or None if no plugin has one of that name.

    Args:
        name: Its name or, where two plugins declare it, ``DISTRIBUTION:NAME``.

    Raises:
        PluginError: It does not load or is no command, or two plugins declare it.
    """
    from zoo.installed import registry

    if not registry().has(CommandInfo, name.rpartition(":")[2]):
        return None
    info = registry().get(CommandInfo, name)
    command = resolve_target(info.target)
    if not isinstance(command, click.Command):
        raise PluginError(f"the target of command {info.name!r} is no click.Command")
    return command


def _fingerprint(point: importlib.metadata.EntryPoint) -> list[object]:
    """Return what changes when a plugin does: its version, and its file in an editable install."""
    version = point.dist.version if point.dist else ""
    try:
        spec = importlib.util.find_spec(point.module.partition(".")[0])
        origin = Path(spec.origin) if spec and spec.origin else None
        changed = origin.stat().st_mtime_ns if origin else 0
    except (OSError, ValueError, ImportError):
        changed = 0
    return [point.name, point.value, version, changed]
