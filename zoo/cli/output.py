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
    """Print metrics one a line, each mean with its 95 % interval, and a confusion matrix."""
    rows = []
    for key, value in metrics.items():
        if key in ("labels", "confusion", "training_data") or key.endswith(("_low", "_high")):
            continue
        text = f"{value:.4f}" if isinstance(value, float) else str(value)
        if f"{key}_low" in metrics:
            text += f"  (95 %: {metrics[f'{key}_low']:.4f} to {metrics[f'{key}_high']:.4f})"
        rows.append((key.replace("_", " "), text))
    echo_columns(rows)
    if "confusion" in metrics:
        labels = metrics["labels"]
        click.echo("confusion (rows: true, columns: answered)")
        table = [["", *labels]]
        table += [
            [label, *map(str, counts)]
            for label, counts in zip(labels, metrics["confusion"], strict=True)
        ]
        echo_columns(table, indent="  ")
