"""How results are shown: columns for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click


def echo_json(document: Any) -> None:
    """Print one JSON document, indented, in UTF-8."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def echo_columns(rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Print rows in aligned columns."""
    if not rows:
        return
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo((indent + "  ".join(cells)).rstrip())


def echo_metrics(metrics: Mapping[str, Any]) -> None:
    """Print metrics, one a line, each with its 95 % interval; tables of numbers come last."""
    rows, tables = [], []
    for key, value in metrics.items():
        if key == "training_data" or key.endswith(("_low", "_high")):
            continue
        if isinstance(value, dict) and {"rows", "columns", "values"} <= value.keys():
            tables.append((key, value))
        if not isinstance(value, bool | int | float | str):
            continue
        text = f"{value:.4f}" if isinstance(value, float) else str(value)
        if f"{key}_low" in metrics:
            text += f"  (95 %: {metrics[f'{key}_low']:.4f} to {metrics[f'{key}_high']:.4f})"
        rows.append((key.replace("_", " "), text))
    echo_columns(rows)
    for key, table in tables:
        click.echo(f"{key.replace('_', ' ')} ({table.get('note', '')})".replace(" ()", ""))
        lines = [["", *map(str, table["columns"])]]
        lines += [[str(name), *map(str, row)]
                  for name, row in zip(table["rows"], table["values"], strict=True)]  # fmt: skip
        echo_columns(lines, indent="  ")


def format_value(value: object) -> str:
    """Return the value of an option as ``--set`` takes it; an empty string as ''."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "''"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return str(value) or "''"


def warn_renamed(old: str, new: str) -> None:
    """Say that an option of 0.1 has another name now."""
    click.echo(f"warning: {old} is now called {new}", err=True)
