"""Texts as a terminal shows them: in one line, cut to its width."""

from __future__ import annotations

import shutil
import unicodedata


def width() -> int:
    """Return the columns of the terminal, or 80 where there is none."""
    return shutil.get_terminal_size((80, 24)).columns


def one_line(text: str, columns: int) -> str:
    """Return a text in one line, cut where it is wider than so many columns.

    Characters of East Asian scripts and emoji take two columns, accents that follow a letter none.
    Control characters, which a terminal would obey, are left out.
    """
    # A character may take no column, but a few hundred of them in each are not a text.
    line = " ".join(text[: 100 * columns].expandtabs().splitlines())
    line = "".join(each for each in line if unicodedata.category(each) != "Cc")
    if display_width(line) <= columns:
        return line
    used, end = 0, 0
    while used + display_width(line[end]) < columns:
        used += display_width(line[end])
        end += 1
    return line[:end].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def display_width(text: str) -> int:
    """Return how many columns of a terminal a text takes, as :func:`one_line` counts them."""
    seen = [each for each in text if unicodedata.category(each) not in ("Mn", "Me", "Cf")]
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in seen)
