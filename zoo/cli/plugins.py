"""``zoo plugins``."""

from __future__ import annotations

from dataclasses import asdict

import click

from zoo.cli import options
from zoo.cli.output import echo_columns, echo_json


@click.command(
    epilog="""\b
Examples:
  zoo plugins
  zoo plugins --json
"""
)
@options.as_json
def command(as_json: bool) -> None:
    """List every plugin: its package, what it adds, and its error if it is broken."""
    from zoo.registry import Registry

    found = Registry.installed().plugins
    if as_json:
        echo_json([asdict(plugin) for plugin in found])
        return
    rows = []
    for plugin in found:
        adds = [*plugin.tasks, *plugin.models]
        state = f"BROKEN: {plugin.error}" if plugin.error else ", ".join(adds) or "nothing"
        rows.append((plugin.name, f"{plugin.distribution} {plugin.version}", state))
    echo_columns(rows)
