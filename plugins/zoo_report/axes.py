"""Axes of a chart: round ticks, scales, and the frame that marks are drawn into, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

WIDTH, HEIGHT = 480, 300
# Room for the labels, which are larger on narrow screens.
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 14, 12, 52


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about ``count`` round numbers from ``low`` to ``high``.

    >>> ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(3, 47)
    [10.0, 20.0, 30.0, 40.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda each: abs(math.log(each / rough)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)) + 1)
    return [round(number * step, digits) + 0.0 for number in range(first, last + 1)]


def label(value: float, step: float) -> str:
    """Return a number with as many decimals as ticks so far apart need."""
    if value and (abs(value) >= 1e7 or step < 1e-5):
        return f"{value:.3g}"
    return f"{value:,.{max(0, -math.floor(math.log10(step) + 1e-9)) if step else 0}f}"


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the numbers from ``low`` to ``high`` are drawn: from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the place of a number, in pixels; numbers beyond the ends are drawn there."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


@dataclass(frozen=True)
class Frame:
    """A pair of axes, and what is drawn into them.

    Args:
        x: (low, high) of the horizontal axis.
        y: (low, high) of the vertical axis.
        x_label: What the horizontal axis shows, with its unit.
        y_label: The same of the vertical axis.
        title: What the chart shows, for those who do not see it.
        marks: What is drawn.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    x_label: str
    y_label: str
    title: str
    marks: list[Markup] = field(default_factory=list)

    @property
    def across(self) -> Scale:
        """The horizontal scale."""
        return Scale(*self.x, _LEFT, WIDTH - _RIGHT)

    @property
    def up(self) -> Scale:
        """The vertical scale."""
        return Scale(*self.y, HEIGHT - _BOTTOM, _TOP)

    def path(self, x: Iterable[float], y: Iterable[float]) -> str:
        """Return a polyline as path data; it is interrupted where a number is not finite."""
        across, up = self.across, self.up
        commands, pen = [], "M"
        for one, other in zip(x, y, strict=True):
            if math.isfinite(one) and math.isfinite(other):
                commands.append(f"{pen}{across.at(one):.1f} {up.at(other):.1f}")
                pen = "L"
            else:
                pen = "M"
        return "".join(commands)

    def draw(self, markup: str, *values: object) -> None:
        """Add marks; values are escaped."""
        self.marks.append(Markup(markup).format(*values))

    def svg(self) -> Markup:
        """Return the chart."""
        parts = [
            Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>').format(
                WIDTH, HEIGHT, self.title, self.title
            ),
            *self._vertical(),
            *self._horizontal(),
            *self.marks,
            Markup("</svg>"),
        ]
        return Markup("").join(parts)

    def _vertical(self) -> list[Markup]:
        numbers, up = ticks(*self.y), self.up
        step = _step(numbers)
        right = WIDTH - _RIGHT
        lines = [
            Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(_LEFT, up.at(n), right)
            for n in numbers
        ]
        texts = [
            Markup('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                _LEFT - 6, up.at(n) + 4, label(n, step)
            )
            for n in numbers
        ]
        middle = (up.start + up.end) / 2
        name = Markup(
            '<text class="axis" transform="translate(14 {:.0f}) rotate(-90)" '
            'text-anchor="middle">{}</text>'
        ).format(middle, self.y_label)
        return [*lines, *texts, name]

    def _horizontal(self) -> list[Markup]:
        across, bottom = self.across, HEIGHT - _BOTTOM
        numbers = ticks(*self.x)
        step = _step(numbers)
        if max(len(label(n, step)) for n in numbers) > 6:
            numbers = ticks(*self.x, count=3)
            step = _step(numbers)
        texts = [
            Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                across.at(n), bottom + 18, label(n, step)
            )
            for n in numbers
        ]
        line = Markup('<path class="base" d="M{} {}H{}"/>').format(_LEFT, bottom, WIDTH - _RIGHT)
        name = Markup('<text class="axis" x="{:.0f}" y="{}" text-anchor="middle">{}</text>')
        middle = (across.start + across.end) / 2
        return [line, *texts, name.format(middle, HEIGHT - 10, self.x_label)]


def span(values: Iterable[float], margin: float = 0.05) -> tuple[float, float]:
    """Return the range of the finite values, a little wider; never an empty one."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    room = (high - low) * margin if high > low else abs(high) * 0.1 or 1.0
    return low - room, high + room


def _step(numbers: Sequence[float]) -> float:
    return numbers[1] - numbers[0] if len(numbers) > 1 else abs(numbers[0]) or 1.0
