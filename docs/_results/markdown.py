"""Paragraphs, lists and tables in Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

_WIDTH = 118


def paragraph(text: str) -> str:
    """Return text as lines of the usual length."""
    return _filled(text) + "\n"


def bullets(lines: Iterable[str]) -> str:
    """Return a list, an entry for each text."""
    return "".join(_filled(line, "* ", "  ") + "\n" for line in lines)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell may be empty."""
    lines = [_line(headings), "|" + "---|" * len(headings), *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _filled(text: str, first: str = "", others: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()), _WIDTH, initial_indent=first, subsequent_indent=others,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip
