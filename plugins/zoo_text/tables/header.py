"""Whether the first row of a table has the names of its columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from zoo_text.tables.labels import is_number
from zoo_text.tables.names import is_known

_ROWS = 2000
_NAME = re.compile(r"\w[\w .:/()#-]{0,39}")


def has_header(columns: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row names the columns.

    A value that occurs again is no name, nor is a number. A name that is known, or that has
    another form than the rest of its column, is one.
    """
    first = [column[0].strip() for column in columns]
    rest = [column[1:_ROWS] for column in columns]
    named = [cell for cell in first if cell]
    if not named or len(set(named)) < len(named) or any(map(is_number, named)):
        return False
    again = [
        cell in {other.strip() for other in column}
        for cell, column in zip(first, rest, strict=True)
    ]
    if any(again[n] for n, cell in enumerate(first) if cell):
        return False
    if any(is_known(cell) for cell in named):
        return True
    if any(_is_contrast(cell, column) for cell, column in zip(first, rest, strict=True) if cell):
        return True
    return all(_NAME.fullmatch(cell) and len(cell.split()) <= 3 for cell in named) and any(
        _is_categorical(column) or _is_long(cell, column)
        for cell, column in zip(first, rest, strict=True)
    )


def unique_names(first: Sequence[str]) -> list[str]:
    """Return names of columns, each once; a column without a name has its number."""
    names: dict[str, None] = {}
    counts: Counter[str] = Counter()
    for n, cell in enumerate(first):
        name = base = cell.strip() or str(n + 1)
        counts[base] += 1
        while name in names:
            counts[base] += name != base
            name = f"{base}.{counts[base]}"
        names[name] = None
    return list(names)


def _is_contrast(cell: str, column: Sequence[str]) -> bool:
    """Return whether a column has numbers below what is none."""
    filled = [other for other in column if other.strip()]
    return bool(filled) and all(is_number(other.strip()) for other in filled)


def _is_categorical(column: Sequence[str]) -> bool:
    """Return whether values recur so often that the first would, too, if it were one of them."""
    return len(column) >= 10 and len(set(column)) * 5 <= len(column)


def _is_long(cell: str, column: Sequence[str]) -> bool:
    lengths = sorted(len(other) for other in column)
    return bool(lengths) and len(cell) * 4 < lengths[len(lengths) // 10]
