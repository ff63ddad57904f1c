"""How a text file separates and encloses its cells: found by trying, and overridable."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zoo.errors import DataError
from zoo_text.options import TextOptions
from zoo_text.tables.names import is_known
from zoo_text.tables.table import MAX_COLUMNS

_DELIMITERS = ("\t", ",", ";", "|")
_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
# Share of rows with the usual number of columns that a delimiter needs.
_MIN_SHARE = 0.85
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How cells are separated and enclosed.

    Args:
        delimiter: What separates cells.
        quote: What encloses a cell; empty: nothing does.
        escape: What a quote within a cell follows; empty: it is doubled.
        skip_space: Whether a space after a delimiter is left out.
    """

    delimiter: str
    quote: str = '"'
    escape: str = ""
    skip_space: bool = False

    def reader(self, lines: Iterator[str], *, strict: bool) -> Iterator[list[str]]:
        """Return a reader of rows; ``strict`` refuses misplaced quotes."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar=self.escape or None,
            doublequote=not self.escape,
            skipinitialspace=self.skip_space,
            strict=strict,
        )

    def __str__(self) -> str:
        name = "tab" if self.delimiter == "\t" else repr(self.delimiter)
        text = f"{name} between columns"
        if not self.quote:
            return f"{text}, no quoting"
        if self.escape:
            return f"{text}, {self.quote} after {self.escape} within cells"
        return text if self.quote == '"' else f"{text}, cells in {self.quote}"


def given_dialect(options: TextOptions) -> tuple[str, str | None]:
    """Return delimiter and quote as the user gives them; empty and None: to be found.

    Raises:
        DataError: One is not a single character.
    """
    delimiter = _NAMES.get(options.delimiter.lower(), options.delimiter)
    quote = {"": None, "none": ""}.get(options.quote.lower(), options.quote)
    for name, value in (("delimiter", delimiter), ("quote", quote or "")):
        if len(value) > 1 or value in tuple("\r\n\0"):
            raise DataError(
                f"{name} is {value!r}, which is not one character",
                fix=f"give for instance --set {name}={'tab' if name == 'delimiter' else 'none'}",
            )
    if quote and quote == delimiter:
        raise DataError(f"delimiter and quote are both {quote!r}", fix="give different ones")
    return delimiter, quote


def separator_line(line: str) -> str:
    """Return what a first line ``sep=;``, as Excel writes it, says; otherwise nothing."""
    match = _SEPARATOR_LINE.fullmatch(line)
    return match[1] if match else ""


def find_delimiter(lines: Sequence[str], quotes: Sequence[str], suffix: str) -> str:
    """Return the delimiter that gives nearly all rows the same number of columns, or nothing.

    Args:
        lines: The first lines, with their ends.
        quotes: What may enclose cells.
        suffix: The ending of the file, lower case.
    """
    scored = []
    for order, delimiter in enumerate(_DELIMITERS):
        share, width, first = max(
            (_shape(lines, Dialect(delimiter, quote)) for quote in quotes), key=lambda s: s[:2]
        )
        if width > 1 and share >= _MIN_SHARE:
            known = sum(is_known(name) for name in first[:MAX_COLUMNS])
            usual = (suffix == ".tsv" and delimiter == "\t") or (
                suffix == ".csv" and order in (1, 2)
            )
            scored.append((round(share, 2), known, usual, -order, delimiter))
    return max(scored)[-1] if scored else ""


def _shape(lines: Sequence[str], dialect: Dialect) -> tuple[float, int, list[str]]:
    """Return the share of rows with the usual number of columns, that number, the first row."""
    widths: Counter[int] = Counter()
    first: list[str] = []
    rows = dialect.reader(iter(lines), strict=False)
    try:
        for row in rows:
            if row:
                widths[len(row)] += 1
                first = first or row
    except csv.Error:
        return 0.0, 0, []
    if not widths:
        return 0.0, 0, []
    width, count = widths.most_common(1)[0]
    # The last row of a sample may be cut within quotes; rows over many lines are hidden errors.
    total = max(sum(widths.values()), 1)
    return count / total * (total / (total + _hidden(lines, total))), width, first


def _hidden(lines: Sequence[str], rows: int) -> float:
    """Return a penalty for quotes that swallow lines: a tenth of the lines in excess."""
    return max(len(lines) - rows, 0) / 10 if rows * 5 < len(lines) else 0.0


def spaced(lines: Sequence[str], delimiter: str) -> bool:
    """Return whether a quote follows delimiter and space, so that the space is no content."""
    full = [line for line in lines if delimiter in line]
    return (
        delimiter != " "
        and any(f'{delimiter} "' in line for line in full)
        and all(f"{delimiter} " in line for line in full)
        and not any(f'{delimiter}"' in line for line in full)
    )
