"""Rows of a text file in one dialect, with the line that each begins on."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from zoo.errors import DataError
from zoo_text.tables.dialects import Dialect, separator_line
from zoo_text.tables.encodings import Encoding, text_of
from zoo_text.tables.streams import MAX_TEXT
from zoo_text.tables.table import Tally

# More rows than this whose quote is never closed: the quotes are no quotes.
_MAX_UNCLOSED = 5
_MAX_MEMO = 50_000


@dataclass(slots=True)
class Reading:
    """What a file has in one dialect.

    Args:
        dialect: The dialect.
        columns: Cells of each column.
        lines: Number of the first line of each row.
        ragged: Rows with another number of columns, which are left out.
        malformed: Rows with misplaced quotes.
        needs_quotes: Rows that have a delimiter or a line end within quotes.
        escaped: Whether malformed rows have quotes after a backslash.
    """

    dialect: Dialect
    columns: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    ragged: Tally = field(default_factory=Tally)
    malformed: Tally = field(default_factory=Tally)
    needs_quotes: int = 0
    escaped: bool = False

    def bad(self) -> int:
        """Return how many rows do not fit the dialect."""
        return self.ragged.count + self.malformed.count


class _Lines:
    """Lines of a file, counted, that can be read again from the start of a row."""

    def __init__(self, stream: TextIO, where: str) -> None:
        self._stream = stream
        self._where = where
        self._again: list[str] = []
        self.row: list[str] = []
        self.length = 0
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else self._stream.readline(MAX_TEXT)
        if not line:
            raise StopIteration
        if len(line) >= MAX_TEXT:
            raise DataError("a line is longer than 67 million characters", where=self._where)
        self.number += 1
        self.row.append(line)
        self.length += len(line)
        if self.length > MAX_TEXT:
            # As if a quote were never closed.
            raise csv.Error("unexpected end")
        return line

    def start(self) -> int:
        """Begin a row; return the number of its first line."""
        self.row.clear()
        self.length = 0
        return self.number + 1

    def back(self, keep: int = 0) -> None:
        """Go back to the start of the row, or ``keep`` lines after it."""
        again = self.row[keep:]
        self._again += again[::-1]
        self.number -= len(again)
        self.length -= sum(map(len, again))
        del self.row[keep:]


def read_rows(path: Path, encoding: Encoding, dialect: Dialect, width: int) -> Reading:
    """Read all rows of a file.

    Args:
        path: The file.
        encoding: Its encoding.
        dialect: How cells are separated and enclosed.
        width: The number of columns.

    Raises:
        DataError: It is not in this encoding, damaged, or a line is too long.
    """
    reading = Reading(dialect, [[] for _ in range(width)])
    memo: dict[str, str] = {}
    with text_of(path, encoding) as stream:
        lines = _Lines(stream, str(path))
        for first, row in _rows(lines, dialect, width, reading):
            if len(row) != width:
                if not reading.lines and not reading.ragged.count and len(row) == width - 1:
                    # R leaves the column of row names without a name.
                    row = ["", *row]
                else:
                    reading.ragged.add(first)
                    continue
            reading.lines.append(first)
            for column, cell in zip(reading.columns, row, strict=True):
                # Labels recur: each is kept once.
                if len(cell) < 24 and len(memo) < _MAX_MEMO:
                    cell = memo.setdefault(cell, cell)
                column.append(cell)
    return reading


@contextmanager
def long_cells() -> Iterator[None]:
    """Let cells be of any length meanwhile; csv has one limit for the whole process."""
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _rows(
    lines: _Lines, dialect: Dialect, width: int, reading: Reading
) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each row; misplaced quotes are taken as they stand."""
    strict, lenient = dialect.reader(lines, strict=True), dialect.reader(lines, strict=False)
    plain = Dialect(dialect.delimiter, "")
    unclosed = 0
    while True:
        first = lines.start()
        try:
            row = next(strict)
        except StopIteration:
            return
        except csv.Error as error:
            reading.malformed.add(first)
            reading.escaped |= any('\\"' in line for line in lines.row[:100])
            at_end = "unexpected end" in str(error)
            unclosed += at_end
            if unclosed > _MAX_UNCLOSED:
                # To try on would take quadratic time.
                reading.ragged.count += lines.number
                return
            row = next(plain.reader(iter(lines.row[:1]), strict=False), [])
            if len(row) == width or at_end:
                lines.back(keep=1)
            else:
                lines.back()
                row = next(lenient)
        else:
            if dialect.quote and dialect.quote in lines.row[0]:
                reading.needs_quotes += any(
                    line.count(dialect.delimiter) != width - 1 for line in lines.row
                )
        if row and not (first == 1 and separator_line(lines.row[0])):
            yield first, row
