"""Runs as a table: for a terminal, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from zoo.cli.output import format_value
from zoo.cli.terminal import display_width, one_line
from zoo.errors import printable
from zoo_runs.differences import differing, short_names
from zoo_runs.listing import is_metric
from zoo_runs.summary import RunSummary

_NARROWEST = 10
_CUT = ("path", "name", "setting")
"""Heads of columns that are cut for the last one, which has so many columns, at least:"""

_LEAST = 24
_LAST = ("data", "init", "seed")


def lines(runs: Sequence[RunSummary], folder: Path, width: int, sort: str = "") -> Iterator[str]:
    """Yield a table of runs in lines of at most ``width`` columns, and what is the same in all.

    Args:
        runs: The runs, in order.
        folder: Paths are shown from here.
        width: Columns of the terminal.
        sort: What they are sorted by: a metric is shown in place of the monitored one.
    """
    healthy = [_showing(run, sort) for run in runs if not run.error]
    if healthy:
        columns = _columns(healthy, folder)
        same = {
            head: cells[0] for head, cells in columns.items()
            if head in ("name", "state") and len(set(cells)) == 1 and len(cells) > 1
        }  # fmt: skip
        shown = {head: cells for head, cells in columns.items() if head not in same}
        yield from render(shown, width)
        if any(run.split == "validation" for run in healthy):
            yield one_line("* on the validation part; the test part was not evaluated", width)
        if same:
            described = ", ".join(f"{head} {value}" for head, value in same.items())
            yield one_line(f"the same in all: {described}", width)
    for run in runs:
        if run.error:
            yield one_line(f"damaged: {_path(run, folder)}: {run.error}", 10 * width)


def to_csv(runs: Sequence[RunSummary]) -> str:
    """Return runs as CSV: a column for each field and for each setting that differs."""
    keys = differing([run.settings for run in runs if not run.error] or [{}])
    fields = [
        "path", "name", "state", "metric", "split", "score", "low", "high", "step", "epoch",
        "seconds", "error",
    ]  # fmt: skip
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*fields, *keys])
    for run in runs:
        document = run.to_json()
        values = [format_value(run.settings[key]) if key in run.settings else "" for key in keys]
        cells = ["" if document[field] is None else document[field] for field in fields]
        writer.writerow([*cells, *values])
    return stream.getvalue()


def render(columns: dict[str, list[str]], width: int) -> Iterator[str]:
    """Yield aligned columns by head; the last one takes what is left of the width, and is cut.

    Args:
        columns: The cells of each column; of equal number.
        width: Columns of the terminal.
    """
    heads, cells = list(columns), [list(map(printable, each)) for each in columns.values()]
    widths = [
        max(map(display_width, (head, *each))) for head, each in zip(heads, cells, strict=True)
    ]
    *first, last = range(len(heads))
    # Names are cut, the widest one first, until the last column has its least width.
    room = width - 2 * len(first) - min(widths[last], _LEAST)
    names = [at for at in first if heads[at] in _CUT]
    while names and sum(widths[at] for at in first) > room:
        widest = max(names, key=lambda at: widths[at])
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    for number in range(-1, len(cells[0])):
        row = heads if number < 0 else [each[number] for each in cells]
        parts = [_padded(_cut(row[at], widths[at], heads[at]), widths[at]) for at in first]
        taken = sum(widths[at] + 2 for at in first)
        parts.append(one_line(row[last], max(width - taken, 1)))
        yield "  ".join(parts).rstrip()


def _cut(text: str, columns: int, head: str) -> str:
    """Return a cell that is not too wide; of a path the end, which tells runs apart."""
    if head != "path" or display_width(text) <= columns:
        return one_line(text, columns)
    kept = text[1 - columns :]
    while display_width(kept) >= columns:
        kept = kept[1:]
    return f"\N{HORIZONTAL ELLIPSIS}{kept}"


def _showing(run: RunSummary, sort: str) -> RunSummary:
    """Return a run with the metric that a table shows of it."""
    return replace(run, metric=sort.removeprefix("-")) if is_metric(sort) else run


def _columns(runs: Sequence[RunSummary], folder: Path) -> dict[str, list[str]]:
    metrics = {run.metric for run in runs}
    head = metrics.pop() if len(metrics) == 1 else ""
    differ = differing([run.settings for run in runs])
    keys = [key for key in differ if key not in ("task", "model")]
    # First what all of them have; last what says least about how they were trained.
    keys.sort(key=lambda key: (key in _LAST, sum(key not in run.settings for run in runs)))
    names = short_names(keys)
    columns = {
        "path": [_path(run, folder) for run in runs],
        "name": [run.name for run in runs],
        head.replace("_", " ") or "score": [_score(run, named=not head) for run in runs],
        "steps": ["-" if run.step is None else f"{run.step:,}" for run in runs],
        "time": [_time(run.seconds) for run in runs],
        "state": [run.state for run in runs],
    }
    if keys:
        columns["settings that differ"] = [
            " ".join(
                f"{names[key]}={_value(key, run.settings[key])}" for key in keys
                if key in run.settings
            )
            for run in runs
        ]  # fmt: skip
    return columns


def _path(run: RunSummary, folder: Path) -> str:
    path = run.path.relative_to(folder).as_posix()
    return path if path != "." else run.path.resolve().name


def _score(run: RunSummary, *, named: bool) -> str:
    if run.score is None:
        return "-"
    text = number(run.score)
    low, high = (run.metrics.get(f"{run.metric}_{end}") for end in ("low", "high"))
    if low is not None and high is not None:
        text += f" ({number(low)} to {number(high)})"
    text += "*" if run.split == "validation" else ""
    return f"{run.metric.replace('_', ' ')} {text}" if named else text


def _value(key: str, value: object) -> str:
    """Return a value as a cell has it; of a path the file's name alone."""
    text = format_value(value)
    return Path(text).name if key in ("data", "init") and "/" in text else text


def number(value: float) -> str:
    """Return a number with as many digits as a table shows."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _padded(text: str, width: int) -> str:
    return text + " " * (width - display_width(text))
