"""``zoo list``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import click

from zoo.cli import options
from zoo.cli.kinds import KINDS, declared
from zoo.cli.output import echo_columns, echo_json
from zoo.cli.terminal import display_width, one_line, width
from zoo.deprecation import warn_deprecated
from zoo.discovery import Declaration
from zoo.errors import shortened
from zoo.records import DatasetInfo, Recipe, TaskInfo
from zoo.registry import Registry

# Listed without an option; the others where they are asked for.
_SHOWN = ("tasks", "models", "recipes")


def _kind_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each kind of record."""
    for name in reversed(list(KINDS)):
        flag = click.option(f"--{name}", "kind", flag_value=name, help=f"List {name} only.")
        function = flag(function)
    return function


@click.command(
    epilog="""\b
Examples:
  zoo list
  zoo list '*lstm*' --models
  zoo list --recipes --json
"""
)
@click.argument("pattern", default="")
@_kind_options
@click.option("--runs", "kind", flag_value="runs", hidden=True, help="The name of 0.1.")
@options.as_json
def command(pattern: str, kind: str | None, as_json: bool) -> None:
    """List tasks, models and recipes, or another kind of record.

    PATTERN chooses names as in a shell: '*lstm*'.
    """
    from zoo.installed import registry

    if kind == "runs":
        warn_deprecated("--runs", since="0.2", removed="1.0", use="--recipes")
        kind = "recipes"
    known = registry()
    shown: dict[str, list[dict[str, Any]]] = {}
    for name in [kind] if kind else _SHOWN:
        names = known.names(KINDS[name], pattern)
        shown[name] = [_record(declared(KINDS[name], found, known)) for found in names]
    if as_json:
        echo_json(shown)
        return
    for name, records in shown.items():
        if records:
            click.echo(name)
            if name == "recipes":
                _echo_recipes(known, [r["name"] for r in records])
            else:
                echo_columns([(r["name"], r["summary"]) for r in records], indent="  ")
    if not any(shown.values()):
        what = f"nothing matches {shortened(pattern, 100)!r}" if pattern else "nothing is installed"
        click.echo(what, err=True)
    if known.broken:
        failed = ", ".join(known.broken)
        click.echo(f"warning: plugins that failed: {failed}; see `zoo plugins`", err=True)
    if known.clashes:
        clashes = ", ".join(known.clashes)
        click.echo(
            f"warning: names that two plugins declare: {clashes}; see `zoo plugins`", err=True
        )


def _echo_recipes(known: Registry, names: list[str]) -> None:
    """Print recipes with score, size of the weights, time of the training and rate.

    The rate is left out where none is known, or where summaries would be cut for it.
    """
    rows: list[tuple[str, ...]] = [("", "score", "weights", "time", "rate")]
    summaries = [""]
    for name in names:
        recipe = known.get(Recipe, name)
        # A recipe is listed also where the plugin of its task is missing.
        has_task = known.has(TaskInfo, recipe.task)
        monitor = known.declaration(TaskInfo, recipe.task).facts["monitor"] if has_task else ""
        score = recipe.metrics.get(monitor)
        rows.append((
            name,
            f"{monitor} {score:.3f}" if isinstance(score, float) else "",
            f"{recipe.weights.bytes / 1e6:.1f} MB" if recipe.weights else "",
            f"{recipe.seconds:,.0f} s" if recipe.seconds else "",
            f"{recipe.rate:,.0f}/s" if recipe.rate else "",
        ))  # fmt: skip
        summaries.append(recipe.summary + (f" (from {recipe.init})" if recipe.init else ""))
    if not any(rate for *_, rate in rows[1:]) or _room(rows) < max(map(display_width, summaries)):
        rows = [row[:-1] for row in rows]
    shown = [one_line(summary, max(_room(rows), 20)) for summary in summaries]
    echo_columns([(*row, text) for row, text in zip(rows, shown, strict=True)], indent="  ")


def _room(rows: Sequence[tuple[str, ...]]) -> int:
    """Return the columns of the terminal that are left beside some columns of a table."""
    return (
        width() - 2 - sum(2 + max(map(display_width, cells)) for cells in zip(*rows, strict=True))
    )


def _record(record: Recipe | DatasetInfo | Declaration) -> dict[str, Any]:
    """Return what ``--json`` prints of a record."""
    if isinstance(record, Recipe):
        keys = (
            "name", "summary", "task", "model", "data", "init", "settings", "metrics", "seconds",
            "rate",
        )  # fmt: skip
        weights = asdict(record.weights) if record.weights else None
        return {key: getattr(record, key) for key in keys} | {"weights": weights}
    found: dict[str, Any] = {"name": record.name, "summary": record.summary}
    facts = {"url": record.url} if isinstance(record, DatasetInfo) else record.facts
    found |= {
        key: facts[key]
        for key in ("causal", "needs_causal", "needs_bidirectional", "tasks", "suffix", "url")
        if key in facts
    }
    return found | {"plugin": record.plugin.name if record.plugin else ""}
