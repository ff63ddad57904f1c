"""How a training went: loss and monitored metric by step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from zoo import Run
from zoo_report.charts import Line, lines
from zoo_report.evidence import Evidence
from zoo_report.parts import Figure, Note, Part, Section

LONGEST = 300
"""Points of a line; of more, neighbouring ones are averaged, or some are left out."""


def section(evidence: Evidence) -> Section | None:
    """Return the curves of a run; None where it has logged nothing."""
    curves = [
        ("training", 1, _averaged(logged(evidence.run, "train"))),
        ("validation", 0, thinned(logged(evidence.run, "evaluation"))),
    ]
    if not any(rows for _, _, rows in curves):
        return None
    parts: list[Part] = []
    for metric in dict.fromkeys(("loss", evidence.monitor)):
        drawn = [
            line for name, colour, rows in curves
            if (line := curve(name, rows, metric, colour, evidence.saves_last)) is not None
        ]  # fmt: skip
        if drawn:
            parts.append(figure(metric, drawn))
    parts.append(
        Note(
            "Training values are means over the steps since the point before, under dropout if "
            "there is any; of some tasks they are those of a part of the network. The band is the "
            f"95 % interval, the dot {_marked(evidence)}."
        )
    )
    return Section("Training", parts)


def _marked(evidence: Evidence) -> str:
    if evidence.saves_last:
        return "the last evaluation, whose weights were saved (selection=last)"
    return "the best evaluation, whose weights were saved"


def figure(metric: str, drawn: Sequence[Line]) -> Figure:
    """Return a chart of a metric by step."""
    name = metric.replace("_", " ")
    chart = lines(
        drawn,
        title=f"{name} by step: {_spoken(drawn)}",
        x_label="step",
        y_label=name,
        x=(0, max(line.x[-1] for line in drawn)),
    )
    legend = [(line.colour, line.name) for line in drawn]
    return Figure(name[:1].upper() + name[1:], chart, legend=legend)


def logged(run: Run, kind: str) -> list[dict[str, Any]]:
    """Return the lines of a run's log: those of ``train`` or those of ``evaluation``."""
    columns = run.history
    if not columns:
        return []
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return [row for row in rows if row["kind"] == kind]


def curve(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    metric: str,
    colour: int,
    saves_last: bool,
) -> Line | None:
    """Return the line of a metric with its interval; None where it was not logged.

    Args:
        name: Of the line: ``training`` or what was evaluated.
        rows: What was logged.
        metric: What is drawn.
        colour: That of the line.
        saves_last: Whether the last evaluation is marked, and not the best one.
    """
    rows = [row for row in rows if isinstance(row.get(metric), int | float)]
    if not rows:
        return None
    low = [row.get(f"{metric}_low", math.nan) for row in rows]
    high = [row.get(f"{metric}_high", math.nan) for row in rows]
    banded = name != "training" and all(map(math.isfinite, (*low, *high)))
    marked = [index for index, row in enumerate(rows) if row.get("best")]
    if saves_last and name != "training":
        marked = [len(rows) - 1]
    return Line(
        name,
        [row["step"] for row in rows],
        [row[metric] for row in rows],
        low if banded else (),
        high if banded else (),
        marked[-1] if marked else None,
        "last" if saves_last else "best",
        colour,
    )


def thinned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most so many evaluations as a chart shows: the best and the last are among them."""
    if len(rows) <= LONGEST:
        return rows
    best = [index for index, row in enumerate(rows) if row.get("best")][-1:]
    kept = {round(index * (len(rows) - 1) / (LONGEST - 2)) for index in range(LONGEST - 1)}
    return [rows[index] for index in sorted(kept | set(best))]


def _averaged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return means over neighbouring lines, as many as a chart shows."""
    size = -(-len(rows) // LONGEST) if rows else 1
    groups = [rows[at : at + size] for at in range(0, len(rows), size)]
    return [_mean(group) for group in groups]


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if len(rows) == 1:
        return dict(rows[0])
    found = {"step": rows[-1]["step"]}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name != "step" and all(isinstance(value, int | float) for value in values):
            found[name] = sum(values) / len(values)
    return found


def _spoken(drawn: Sequence[Line]) -> str:
    return "; ".join(
        f"{line.name} from {line.y[0]:.4g} to {line.y[-1]:.4g} in {line.x[-1]:,} steps"
        for line in drawn
    )
