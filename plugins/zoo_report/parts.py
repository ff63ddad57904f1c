"""What a page is made of: sections of figures, tables, facts and passages of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from zoo.cli.output import format_value
from zoo.errors import printable


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart.

    Args:
        title: Above it.
        chart: The SVG.
        caption: Below it.
        legend: (colour, name) of what is drawn.
    """

    kind: ClassVar[str] = "figure"

    title: str
    chart: Markup
    caption: str = ""
    legend: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table. Its first column names the rows.

    Args:
        title: Above it.
        columns: Heads of all columns.
        rows: Cells of each row.
        note: Below it.
        shades: How dark each cell but the first of a row is, from 0 to 1; empty: they are not.
        is_text: Whether cells are texts, which are aligned to the left, and not numbers.
        is_wide: Whether the table has the width of the page; others may stand side by side.
    """

    kind: ClassVar[str] = "table"

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    shades: Sequence[Sequence[float]] = ()
    is_text: bool = False
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    kind: ClassVar[str] = "facts"

    values: Mapping[str, str]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A text with a head.

    Args:
        head: What is said of it, (name, value) each.
        text: The text, coloured or plain; it is escaped.
    """

    head: Sequence[tuple[str, str]]
    text: Markup


@dataclass(frozen=True, slots=True)
class Passages:
    """Texts, one below another.

    Args:
        shown: The texts.
        title: Above them.
        note: What their colours mean.
        keeps_lines: Whether line ends of the texts are kept.
    """

    kind: ClassVar[str] = "passages"

    shown: Sequence[Passage]
    title: str = ""
    note: Markup | str = ""
    keeps_lines: bool = False


@dataclass(frozen=True, slots=True)
class Commands:
    """Lines to be typed into a shell or a program."""

    kind: ClassVar[str] = "commands"

    lines: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of text that are aligned in columns."""

    kind: ClassVar[str] = "lines"

    lines: Sequence[str]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph."""

    kind: ClassVar[str] = "note"

    text: str


Part = Figure | Table | Facts | Passages | Commands | Lines | Note


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page with a heading."""

    title: str
    parts: Sequence[Part]


def shortened(text: str, longest: int = 40) -> str:
    """Return a text in one line, cut after so many characters."""
    line = printable(" ".join(text[: 4 * longest].split()))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def number(value: float) -> str:
    """Return a count in full, and what was measured with three decimals, as on the terminal.

    >>> [number(each) for each in (0.98251, 1.0, 1234.5, 0.00012, 12)]
    ['0.983', '1.000', '1,234', '0.00012', '12']
    """
    if isinstance(value, int):
        return f"{value:,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2g}" if value and abs(value) < 0.01 else f"{value:.3f}"


def setting(value: object, longest: int) -> str:
    """Return the value of a setting, cut after so many characters.

    >>> [setting(each, 10) for each in (1.0, 0.00012345678, True, "a value of a setting")]
    ['1', '0.000123457', 'true', 'a value o…']
    """
    return f"{value:g}" if isinstance(value, float) else shortened(format_value(value), longest)
