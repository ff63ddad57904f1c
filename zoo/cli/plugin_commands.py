"""Commands of plugins: help lists them by what is declared, and imports no plugin."""

from __future__ import annotations

import click

from zoo.errors import PluginError


def summaries() -> dict[str, str]:
    """Return the summaries of the commands of plugins, by name."""
    from zoo.discovery import discover

    return {
        declared.name: declared.summary
        for plugin in discover() for declared in plugin.declarations
        if declared.kind == "command"
    }  # fmt: skip


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
