"""A table as it was read: named columns of cells, and what is known of its rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from zoo.errors import DataError

Cell: TypeAlias = "str | int | float | bool | list[object] | None"

# Names of the parts, by number.
PARTS = ("train", "validation", "test")
# The part of a row that is not in any yet.
NO_PART = -1
# What files, folders and columns call the parts.
PART_NAMES: Mapping[str, int] = {
    "train": 0, "training": 0, "trn": 0,
    "validation": 1, "valid": 1, "val": 1, "dev": 1, "development": 1, "eval": 1, "evaluation": 1,
    "test": 2, "testing": 2, "tst": 2,
}  # fmt: skip
# Share of unreadable rows beyond which the file was probably taken for what it is not.
MAX_BAD_SHARE = 0.05
MAX_COLUMNS = 1000
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Tally:
    """A count of rows, with the first few line numbers."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, line: int) -> None:
        self.count += 1
        if len(self.first) < 3:
            self.first.append(line)

    def where(self, unit: str) -> str:
        """Return for instance ``lines 14, 90, 101 ...``."""
        more = " ..." if self.count > len(self.first) else ""
        numbers = ", ".join(f"{line:,}" for line in self.first)
        return f"{unit}{'s' if self.count > 1 else ''} {numbers}{more}"


@dataclass(slots=True)
class Table:
    """Columns of equal length.

    Args:
        where: The file, as messages name it.
        columns: Cells by column name, in the order of the file.
        lines: Line (or row, or file) number of each row, from 1.
        form: What the file was taken for, such as ``UTF-8, ',' between columns``.
        unit: What ``lines`` count: ``line``, ``row`` or ``file``.
        parts: Number in ``PARTS`` of each row, or ``NO_PART``; None: the file has no parts.
        ragged: Rows left out because they have another number of columns, or are no JSON.
        notes: Further sentences for the user.
        resolved: Options of reading that were found by looking, by name.
    """

    where: str
    columns: dict[str, list[Cell]]
    lines: list[int]
    form: str
    unit: str = "line"
    parts: list[int] | None = None
    ragged: Tally = field(default_factory=Tally)
    notes: list[str] = field(default_factory=list)
    resolved: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Check that there are rows, and few that could not be read.

        Raises:
            DataError: There are none, or more than 5 % are unreadable.
        """
        total = len(self.lines) + self.ragged.count
        if self.ragged.count > MAX_BAD_SHARE * total:
            raise DataError(
                f"{self.ragged.count:,} of {total:,} rows have the wrong number of columns",
                where=self.where,
                why=f"{self.form}; {self.ragged.where(self.unit)}",
                fix="correct them, or give the delimiter, quote or encoding with "
                "--set delimiter=..., --set quote=..., --set encoding=...",
            )
        if not self.lines:
            raise DataError("no rows", where=self.where, fix="give a table with texts and labels")


def joined(tables: Iterable[tuple[Table, int]], where: str) -> Table:
    """Return tables as one whose rows have the given parts; a column that one lacks is empty."""
    pairs = list(tables)
    names = list(dict.fromkeys(name for table, _ in pairs for name in table.columns))
    whole = Table(where, {name: [] for name in names}, [], pairs[0][0].form, pairs[0][0].unit, [])
    assert whole.parts is not None
    for table, part in pairs:
        for name in names:
            whole.columns[name] += table.columns.get(name) or [None] * len(table.lines)
        whole.lines += table.lines
        whole.parts += [part] * len(table.lines)
        whole.ragged.count += table.ragged.count
        whole.ragged.first += table.ragged.first[: 3 - len(whole.ragged.first)]
        whole.notes += table.notes
    return whole


def as_text(cell: Cell) -> str:
    """Return a cell as a text: nothing for a missing one, halves of code points replaced."""
    if isinstance(cell, str):
        return _SURROGATE.sub("\ufffd", cell) if not cell.isascii() else cell
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ""
    return str(cell)
