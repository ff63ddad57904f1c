"""Charts as inline SVG: lines with bands, bars, points, and values with their intervals.

Colours are classes, which the style sheet gives a colour for light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from zoo_report.axes import WIDTH, Frame, label, span, ticks

COLOURS = 6
"""Lines of a chart that have a colour and a dash pattern of their own."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart.

    Args:
        name: Of the legend.
        x: (N,) numbers.
        y: (N,) numbers; where one is not finite, the line is interrupted.
        low: (N,) lower ends of a band around the line; empty: there is none.
        high: (N,) its upper ends.
        marked: Index of a point that is marked; None: none is.
        mark: What the marked point is.
        colour: Number of its colour, from 0.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    marked: int | None = None
    mark: str = "best"
    colour: int = 0


def lines(
    drawn: Sequence[Line],
    *,
    title: str,
    x_label: str,
    y_label: str,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    diagonal: bool = False,
) -> Markup:
    """Return a chart of lines with bands.

    Args:
        drawn: The lines.
        title: What the chart shows.
        x_label: Of the horizontal axis.
        y_label: Of the vertical axis.
        x: (low, high) of the horizontal axis; None: what the lines need.
        y: The same of the vertical axis.
        diagonal: Whether y = x is drawn, too.
    """
    frame = Frame(
        x or span((value for line in drawn for value in line.x), 0.0),
        y or span(value for line in drawn for value in (*line.y, *line.low, *line.high)),
        x_label,
        y_label,
        title,
    )
    if diagonal:
        _diagonal(frame)
    for line in drawn:
        if line.low:
            outline = frame.path(line.x, line.high) + frame.path(
                line.x[::-1], line.low[::-1]
            ).replace("M", "L", 1)
            frame.draw('<path class="band c{}" d="{}Z"/>', line.colour % COLOURS, outline)
    for line in drawn:
        colour = line.colour % COLOURS
        if len(line.x) > 1:
            frame.draw('<path class="line c{}" d="{}"/>', colour, frame.path(line.x, line.y))
        for index in {0} if len(line.x) == 1 else set():
            _point(frame, line.x[index], line.y[index], colour, line.name)
        if line.marked is not None:
            x_marked, y_marked = line.x[line.marked], line.y[line.marked]
            text = f"{line.mark} of {line.name}: {y_marked:.4g} at {x_marked:,.0f}"
            _point(frame, x_marked, y_marked, colour, text)
    return frame.svg()


def bars(
    edges: Sequence[float],
    heights: Sequence[float],
    *,
    title: str,
    x_label: str,
    y_label: str,
    y: tuple[float, float] | None = None,
    diagonal: bool = False,
    notes: Sequence[str] = (),
) -> Markup:
    """Return bars between neighbouring edges.

    Args:
        edges: (N + 1,) where bars begin and end.
        heights: (N,) their heights; one that is not finite has no bar.
        title: What the chart shows.
        x_label: Of the horizontal axis.
        y_label: Of the vertical axis.
        y: (low, high) of the vertical axis; None: from 0 to a little above the highest bar.
        diagonal: Whether y = x is drawn, too.
        notes: (N,) what a bar says where a pointer rests on it.
    """
    top = max((h for h in heights if math.isfinite(h)), default=1.0) * 1.05 or 1.0
    frame = Frame((edges[0], edges[-1]), y or (0.0, top), x_label, y_label, title)
    base = frame.up.at(0)
    for index, height in enumerate(heights):
        if not math.isfinite(height) or height <= 0:
            continue
        left, right = frame.across.at(edges[index]), frame.across.at(edges[index + 1])
        upper = frame.up.at(height)
        frame.draw(
            '<rect class="bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">'
            "<title>{}</title></rect>",
            left + 0.5, upper, max(right - left - 1, 0.5), max(base - upper, 0.0),
            notes[index] if notes else f"{height:,.4g}",
        )  # fmt: skip
    if diagonal:
        _diagonal(frame)
    return frame.svg()


def scatter(
    x: Sequence[float], y: Sequence[float], *, title: str, x_label: str, y_label: str
) -> Markup:
    """Return points, with the line y = x: both axes have the same range."""
    both = span((*x, *y))
    frame = Frame(both, both, x_label, y_label, title)
    _diagonal(frame)
    # One path is a tenth of the size of as many circles.
    dots = "".join(
        f"M{frame.across.at(one):.0f} {frame.up.at(other):.0f}h0"
        for one, other in zip(x, y, strict=True)
    )
    frame.draw('<path class="dots" d="{}"/>', dots)
    return frame.svg()


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its interval.

    Args:
        name: What it is of.
        value: The value.
        low: Lower end of the interval; None: there is none.
        high: Its upper end.
        colour: Number of its colour.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    colour: int = 0


def intervals(shown: Sequence[Interval], *, title: str, x_label: str) -> Markup:
    """Return values with their intervals, one a row, on a common axis."""
    ends = [
        end for each in shown for end in (each.value, each.low, each.high)
        if end is not None and math.isfinite(end)
    ]  # fmt: skip
    low, high = span(ends, 0.08)
    row, left, right = 34, 14, WIDTH - 14
    bottom = 8 + row * len(shown)
    numbers = ticks(low, high, 4)
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1.0

    def place(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    parts = [
        Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>').format(
            WIDTH, bottom + 46, title, title
        )
    ]
    grid = Markup(
        '<path class="grid" d="M{0:.1f} 4V{1}"/>'
        '<text class="tick" x="{0:.1f}" y="{2}" text-anchor="middle">{3}</text>'
    )
    parts += [grid.format(place(n), bottom, bottom + 18, label(n, step)) for n in numbers]
    for index, each in enumerate(shown):
        y = 26 + row * index
        middle = place(each.value)
        colour = each.colour % COLOURS
        if each.low is not None and each.high is not None:
            parts.append(
                Markup('<path class="whisker c{}" d="M{:.1f} {}H{:.1f}"/>').format(
                    colour, place(max(each.low, low)), y, place(min(each.high, high))
                )
            )
        anchor, at = ("start", max(middle - 5, left)) if middle < WIDTH / 2 else ("end", middle + 5)
        parts.append(
            Markup(
                '<circle class="point c{}" cx="{:.1f}" cy="{}" r="5"/>'
                '<text class="row" x="{:.1f}" y="{}" text-anchor="{}">{}</text>'
            ).format(colour, middle, y, at, y - 10, anchor, each.name)
        )
    parts.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text></svg>').format(
            WIDTH // 2, bottom + 40, x_label
        )
    )
    return Markup("").join(parts)


def _point(frame: Frame, x: float, y: float, colour: int, text: str) -> None:
    if math.isfinite(y):
        frame.draw(
            '<circle class="point c{}" cx="{:.1f}" cy="{:.1f}" r="4.5"><title>{}</title></circle>',
            colour, frame.across.at(x), frame.up.at(y), text,
        )  # fmt: skip


def _diagonal(frame: Frame) -> None:
    low = max(frame.x[0], frame.y[0])
    high = min(frame.x[1], frame.y[1])
    frame.draw('<path class="diagonal" d="{}"/>', frame.path((low, high), (low, high)))
