"""``zoo list``."""

from __future__ import annotations

from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Any

import click

from zoo.cli import options
from zoo.cli.output import echo_columns, echo_json


@click.command(
    epilog="""\b
Examples:
  zoo list
  zoo list '*lstm*' --models
  zoo list --runs --json
"""
)
@click.argument("pattern", default="")
@click.option("--tasks", "kinds", flag_value="tasks", help="Tasks only.")
@click.option("--models", "kinds", flag_value="models", help="Models only.")
@click.option("--runs", "kinds", flag_value="runs", help="Published runs only.")
@options.as_json
def command(pattern: str, kinds: str | None, as_json: bool) -> None:
    """List tasks, models and published runs, those that match PATTERN (such as '*lstm*')."""
    from zoo import catalog
    from zoo.registry import Registry

    registry, rows = Registry.installed(), catalog.read()
    shown: dict[str, list[dict[str, Any]]] = {
        "tasks": [
            {"name": t.name, "summary": t.summary, "plugin": registry.task_plugin(t.name).name}
            for t in registry.tasks
        ],
        "models": [
            {
                "name": m.name,
                "summary": m.summary,
                "causal": m.causal,
                "plugin": registry.model_plugin(m.name).name,
            }
            for m in registry.models
        ],
        "runs": [asdict(row) for _, row in sorted(rows.runs.items())],
    }
    shown = {
        kind: [record for record in records if fnmatchcase(record["name"], pattern or "*")]
        for kind, records in shown.items()
        if kinds in (None, kind)
    }
    if as_json:
        echo_json(shown)
        return
    for kind, records in shown.items():
        if records:
            click.echo(kind)
            rows_shown = [
                (r["name"], r["summary"] + ("; weights included" if r.get("weights") else ""))
                for r in records
            ]
            echo_columns(rows_shown, indent="  ")
    if not any(shown.values()):
        click.echo(f"nothing matches {pattern!r}", err=True)
    broken = [plugin.name for plugin in registry.plugins if plugin.error]
    if broken:
        click.echo(f"warning: broken plugins: {', '.join(broken)}; see `zoo plugins`", err=True)
    if registry.clashes:
        names = ", ".join(registry.clashes)
        click.echo(f"warning: names that two plugins claim: {names}; see `zoo plugins`", err=True)
