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
    """List plugins: their packages, what they provide, errors."""
    from zoo.installed import retried

    found = retried().plugins
    if as_json:
        echo_json([asdict(plugin) for plugin in found])
        return
    rows = []
    for plugin in found:
        provided = [
            f"{kind}s: {', '.join(names)}" for kind, names in sorted(plugin.provides.items())
        ]
        state = f"FAILED: {plugin.error}" if plugin.error else "; ".join(provided) or "nothing"
        rows.append((plugin.name, f"{plugin.distribution} {plugin.version}", state))
    echo_columns(rows)
