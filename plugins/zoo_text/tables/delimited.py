"""Tables in text files: CSV, TSV and the like, with line numbers and quoted line ends."""

from __future__ import annotations

import io
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TextIO

from zoo.errors import DataError
from zoo_text.options import TextOptions
from zoo_text.tables.dialects import (
    Dialect,
    find_delimiter,
    given_dialect,
    separator_line,
    spaced,
)
from zoo_text.tables.encodings import Encoding, detect, text_of
from zoo_text.tables.header import has_header, unique_names
from zoo_text.tables.rows import Reading, long_cells, read_rows
from zoo_text.tables.streams import SUFFIXES_OF_COMPRESSION
from zoo_text.tables.table import MAX_BAD_SHARE, MAX_COLUMNS, Table

_FIX_DELIMITER = "give what separates columns with --set delimiter=..., or enclose texts in quotes"
_SAMPLE_LINES = 500
_SAMPLE_CHARACTERS = 1 << 18


def read_delimited(path: Path, options: TextOptions) -> Table:
    """Read a table from a text file.

    Args:
        path: The file, compressed or not.
        options: ``encoding``, ``delimiter``, ``quote`` and ``header`` are used.

    Raises:
        DataError: It is no text or no table, or more than 5 % of its rows are ragged.
    """
    encoding = detect(path, options.encoding)
    with text_of(path, encoding) as stream:
        sample = first_lines(stream)
    with long_cells():
        dialects = _dialects(sample, path, options)
        reading = read_rows(path, encoding, dialects[0], _width(sample, dialects[0], str(path)))
        for dialect in dialects[1:]:
            quotes_fit = reading.malformed.count <= reading.needs_quotes
            if quotes_fit and reading.ragged.count <= MAX_BAD_SHARE * len(reading.lines):
                break
            if dialect.escape and not reading.escaped:
                continue
            other = read_rows(path, encoding, dialect, _width(sample, dialect, str(path)))
            reading = min(reading, other, key=Reading.bad)
    return _table(reading, encoding, path, options)


def first_lines(stream: TextIO) -> list[str]:
    """Return the first lines of a text, with their ends; the last one may be cut."""
    text = stream.read(_SAMPLE_CHARACTERS)
    lines = list(islice(io.StringIO(text, newline=""), _SAMPLE_LINES))
    # A line that the sample cuts says nothing.
    return lines[:-1] if len(text) == _SAMPLE_CHARACTERS and len(lines) > 1 else lines


def _dialects(sample: list[str], path: Path, options: TextOptions) -> list[Dialect]:
    """Return dialects in the order in which they are tried.

    Raises:
        DataError: No delimiter separates the lines into columns.
    """
    given, quote = given_dialect(options)
    quotes = ['"', ""] if quote is None else [quote]
    delimiter = given or (separator_line(sample[0]) if sample else "")
    delimiter = delimiter or find_delimiter(sample, quotes, plain_suffix(path))
    if not delimiter:
        raise DataError(
            "no columns",
            where=str(path),
            why="no tab , ; or | separates all lines into the same number of columns, two or more",
            fix=_FIX_DELIMITER,
        )
    if quote is not None:
        return [Dialect(delimiter, quote)]
    space = spaced(sample, delimiter)
    return [
        Dialect(delimiter, '"', skip_space=space),
        Dialect(delimiter, '"', escape="\\", skip_space=space),
        Dialect(delimiter, ""),
    ]


def plain_suffix(path: Path) -> str:
    """Return the ending of a file without that of its compression, lower case."""
    name = path.name.lower()
    for suffix in SUFFIXES_OF_COMPRESSION:
        name = name.removesuffix(suffix)
    return Path(name).suffix


def _width(sample: list[str], dialect: Dialect, where: str) -> int:
    """Return the usual number of columns of the first rows."""
    widths = Counter(len(row) for row in dialect.reader(iter(sample), strict=False) if row)
    width = widths.most_common(1)[0][0] if widths else 1
    if width > MAX_COLUMNS:
        raise DataError(f"more than {MAX_COLUMNS:,} columns", where=where, fix=_FIX_DELIMITER)
    return width


def _table(reading: Reading, encoding: Encoding, path: Path, options: TextOptions) -> Table:
    columns, dialect = reading.columns, reading.dialect
    first = [column[0] for column in columns] if reading.lines else []
    header = bool(first) and (
        options.header == "yes" or (options.header == "auto" and has_header(columns))
    )
    names = unique_names(first) if header else [str(n + 1) for n in range(len(columns))]
    if header:
        for column in columns:
            del column[0]
        del reading.lines[0]
    notes = [] if header else ["there are no names of columns: they are numbered"]
    if encoding.damaged:
        notes.append(f"{encoding.damaged:,} places that are not {encoding} were replaced")
    if reading.malformed.count and dialect.quote:
        where = reading.malformed.where("line")
        notes.append(f"misplaced quotes were taken as they stand: {where}")
    table = Table(
        str(path),
        dict(zip(names, columns, strict=True)),  # type: ignore[arg-type]
        reading.lines,
        f"{encoding}, {dialect}",
        ragged=reading.ragged,
        notes=notes,
        resolved={
            "encoding": encoding.name,
            "delimiter": "tab" if dialect.delimiter == "\t" else dialect.delimiter,
            "quote": dialect.quote or "none",
            "header": "yes" if header else "no",
        },
    )
    table.check()
    return table
