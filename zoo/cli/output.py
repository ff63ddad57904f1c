"""How results are shown: columns for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from zoo.cli.terminal import display_width, one_line
from zoo.cli.terminal import width as terminal_width

MATRIX_LABELS = 8
"""A confusion matrix of more labels is shown as its commonest confusions, on 80 columns."""

CONFUSIONS = 10
TABLE_ROWS = 20


def echo_json(document: Any) -> None:
    """Print one JSON document, indented, in UTF-8."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def echo_columns(rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Print rows in aligned columns."""
    if not rows:
        return
    widths = [max(display_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [_pad(cell, width) for cell, width in zip(row, widths, strict=True)]
        click.echo((indent + "  ".join(cells)).rstrip())


def echo_evaluation(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the result of an evaluation, and say where its data is not exactly the training's."""
    if not result["training_data"]:
        click.echo("note: this is not the same data as in the training", err=True)
    if as_json:
        echo_json(result)
    else:
        echo_metrics(result)


def echo_metrics(metrics: Mapping[str, Any]) -> None:
    """Print metrics, one a line, each with its 95 % interval; tables of numbers come last.

    No line is wider than the terminal, or than 80 columns where there is none.
    """
    width = terminal_width()
    rows, tables = [], []
    for key, value in metrics.items():
        name = key.replace("_", " ")
        if key == "training_data" or key.endswith(("_low", "_high")):
            continue
        if key.endswith("_label") and key.removesuffix("_label") in metrics:
            continue
        if f"{key}_label" in metrics:
            name += f" ({metrics[f'{key}_label']})"
        if isinstance(value, dict) and {"rows", "columns", "values"} <= value.keys():
            tables.append((key, value))
        elif isinstance(value, dict):  # Such as baselines, by name.
            name = name.removesuffix("s")
            rows += [(f"{name} {inner}", _cell(v)) for inner, v in value.items() if _is_shown(v)]
        elif _is_shown(value):
            text = _cell(value)
            if f"{key}_low" in metrics:
                low, high = metrics[f"{key}_low"], metrics[f"{key}_high"]
                text += f"  (95 %: {_cell(low)} to {_cell(high)})"
            rows.append((name, text))
    first = max((display_width(name) for name, _ in rows), default=0)
    echo_columns([(name, one_line(text, max(width - first - 2, 8))) for name, text in rows])
    for key, table in tables:
        if key == "confusion" and table["rows"] == table["columns"]:
            shown = _shorten_confusion(table, max(MATRIX_LABELS, MATRIX_LABELS * width // 80))
        else:
            shown = table
        _echo_table(key.replace("_", " "), shown, width)


def _is_shown(value: object) -> bool:
    return isinstance(value, bool | int | float | str)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"
    return str(value)


def _shorten_confusion(table: Mapping[str, Any], limit: int) -> Mapping[str, Any]:
    """Return the commonest confusions of a matrix of more labels than ``limit``."""
    labels = table["rows"]
    if len(labels) <= limit:
        return table
    wrong = [
        (count, f"{true} -> {predicted}")
        for true, row in zip(labels, table["values"], strict=True)
        for predicted, count in zip(labels, row, strict=True)
        if count and true != predicted
    ]
    worst = sorted(wrong, key=lambda pair: -pair[0])[:CONFUSIONS]
    return {
        "rows": [name for _, name in worst],
        "columns": ["count"],
        "values": [[count] for count, _ in worst],
        "note": f"true -> predicted, the {len(worst)} commonest of {len(wrong)}",
    }


def _echo_table(name: str, table: Mapping[str, Any], width: int) -> None:
    """Print a table of numbers; names are cut, and rows and columns left out, as far as needed."""
    note = f" ({table['note']})" if table.get("note") else ""
    click.echo(one_line(name + note, width))
    labels = [str(label) for label in table["rows"][:TABLE_ROWS]]
    heads = [str(head) for head in table["columns"]]
    cells = [[_cell(value) for value in row] for row in table["values"][:TABLE_ROWS]]
    room = width - 2  # After the indent.
    needed = [max((len(row[i]) for row in cells), default=0) for i in range(len(heads))]
    # Two blanks before a column; a name keeps at least six characters while there is space.
    taken = sum(2 + max(n, min(6, display_width(h))) for n, h in zip(needed, heads, strict=True))
    first = max((display_width(label) for label in labels), default=0)
    first = min(first, max(room - taken, 8))
    each = max((room - first) // max(len(heads), 1) - 2, 1)
    widths = [max(n, min(each, display_width(h))) for n, h in zip(needed, heads, strict=True)]
    shown = len(widths)
    while shown and first + sum(2 + w for w in widths[:shown]) > room:
        shown -= 1
    for label, row in [("", heads), *zip(labels, cells, strict=True)]:
        line = _pad(one_line(label, first), first)
        for text, column in zip(row[:shown], widths[:shown], strict=True):
            line += "  " + _pad(one_line(text, column), column, right=True)
        click.echo(f"  {line}".rstrip())
    if (rows := len(table["rows"]) - len(labels)) > 0:
        click.echo(f"  ... {rows} more rows")
    if shown < len(heads):
        click.echo(f"  ... {len(heads) - shown} more columns")


def _pad(text: str, width: int, *, right: bool = False) -> str:
    blanks = " " * (width - display_width(text))
    return blanks + text if right else text + blanks


def format_value(value: object) -> str:
    """Return the value of an option as ``--set`` takes it; an empty string as ''."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "''"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return str(value) or "''"
