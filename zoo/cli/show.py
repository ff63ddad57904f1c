"""``zoo show``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from zoo.cli import completion, options
from zoo.cli.output import echo_columns, echo_json


@click.command(
    epilog="""\b
Examples:
  zoo show imdb-bilstm
  zoo show lstm
  zoo show sentiment/gru --json
"""
)
@click.argument("name", shell_complete=completion.runs)
@options.as_json
def command(name: str, as_json: bool) -> None:
    """Show a run, TASK/MODEL, task or model: its options, their defaults, where it comes from."""
    from zoo import catalog
    from zoo.config import TRAINING_OPTIONS, resolve
    from zoo.errors import UsageError
    from zoo.records import Option, RunRow
    from zoo.registry import Registry, suggestion

    registry = Registry.installed()
    rows = catalog.read()
    document: dict[str, Any] = {"name": name}
    sections: dict[str, Mapping[str, Option]] = {}
    values: dict[str, Any] = {}
    # A clashing name is looked up, too, so that the error names who claims it.
    models = {info.name for info in registry.models} | set(registry.clashes)
    tasks = {info.name for info in registry.tasks}
    if name not in rows.runs and name in models:
        model = registry.model(name)
        document |= {"kind": "model", "summary": model.summary, "causal": model.causal}
        document["plugin"] = asdict(registry.model_plugin(name))
        sections["model"] = model.options
    elif name not in rows.runs and name in tasks:
        task = registry.task(name)
        document |= {"kind": "task", "summary": task.summary, "needs_causal": task.needs_causal}
        document["monitor"] = task.monitor
        document["plugin"] = asdict(registry.task_plugin(name))
        sections["task"] = task.options
    else:
        if name not in rows.runs and "/" not in name:
            near = suggestion(name, [*rows.runs, *models, *tasks])
            raise UsageError(f"nothing is called {name!r}{near}", fix="see `zoo list`")
        configuration = resolve(name, registry, rows)
        row = rows.runs.get(name, RunRow(name, "", "", ""))
        document |= {
            "kind": "run",
            "summary": row.summary,
            "task": configuration.task.name,
            "model": configuration.model.name,
            "data": configuration.data or "sample",
            "metrics": dict(row.metrics),
            "weights": asdict(row.weights) if row.weights else None,
        }
        settings = configuration.to_json()["settings"]
        values = {f"{s}.{key}": v for s, table in settings.items() for key, v in table.items()}
        sections = {
            "model": configuration.model.options,
            "task": configuration.task.options,
            "training": TRAINING_OPTIONS,
        }
    document["options"] = {
        section: {
            key: asdict(option) | {"value": values.get(f"{section}.{key}", option.default)}
            for key, option in options.items()
        }
        for section, options in sections.items()
    }
    if as_json:
        echo_json(document)
        return
    _echo(document)


def _echo(document: dict[str, Any]) -> None:
    keys = ("name", "kind", "summary", "task", "model", "data", "causal", "monitor")
    facts = [(key, str(document[key])) for key in keys if document.get(key) not in (None, "")]
    if plugin := document.get("plugin"):
        facts.append(("plugin", f"{plugin['name']} ({plugin['distribution']} {plugin['version']})"))
    for key, value in document.get("metrics", {}).items():
        facts.append((f"measured {key}", str(value)))
    echo_columns(facts)
    for section, known in document["options"].items():
        click.echo(f"\n{section} options")
        rows = []
        for key, option in known.items():
            told = option["help"]
            if option["choices"]:
                told += f" [{', '.join(option['choices'])}]"
            if option["value"] != option["default"]:
                told += f" (default {option['default']!r})"
            rows.append((key, repr(option["value"]).strip("'") or "''", told))
        echo_columns(rows, indent="  ")
