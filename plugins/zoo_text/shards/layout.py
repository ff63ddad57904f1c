"""What shards have: found by looking at the first rows of some of them."""

from __future__ import annotations

import codecs
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from zoo.data.shard_files import Shard
from zoo.data.shards import Shards
from zoo.errors import DataError
from zoo_text.options import TextOptions
from zoo_text.shards.formats import Format, name_of_format
from zoo_text.shards.reading import columns_of, head, read, units_of
from zoo_text.tables import arrow
from zoo_text.tables.coding import Coding, find_coding
from zoo_text.tables.columns import Columns, choose_columns, choose_text_column, row_parts
from zoo_text.tables.delimited import first_lines
from zoo_text.tables.dialects import Dialect, find_delimiter, given_dialect
from zoo_text.tables.header import has_header
from zoo_text.tables.rows import long_cells
from zoo_text.tables.table import NO_PART, Cell, Table

_UTF8 = ("utf-8", "utf-8-sig", "ascii")
# Shards that are looked at, and rows of each.
_LOOKED_AT, _ROWS = 8, 512


@dataclass(frozen=True, slots=True)
class Layout:
    """How shards are read.

    Args:
        form: How rows are written.
        names: The columns of every shard.
        columns: Those of texts, labels and parts; without labels for language models.
        coding: How cells become labels; None without labels.
        parts: The part of every shard, or ``NO_PART``.
        resolved: What was found by looking, by name of option.
    """

    form: Format
    names: tuple[str, ...]
    columns: Columns
    coding: Coding | None
    parts: tuple[int, ...]
    resolved: dict[str, str]

    @property
    def in_order(self) -> bool:
        """Whether texts follow each other, as the paragraphs of a book."""
        return self.form.name == "text"

    def used(self) -> list[str]:
        """Return the columns that are read."""
        columns = (self.columns.text, self.columns.label, self.columns.part)
        return list(dict.fromkeys(filter(None, columns)))

    def key(self) -> list[object]:
        """Return what decides what is read, as JSON values."""
        coding: list[object] = []
        if (found := self.coding) is not None:
            coding = [found.kind, found.separator, found.decimal_comma, sorted(found.missing)]
        return [repr(self.form), self.used(), coding, list(self.parts)]

    def check(self, shard: Shard) -> None:
        """Check that a shard has the columns of the first one.

        Raises:
            DataError: It has others.
        """
        names = columns_of(shard, self.form)
        wanted = set(self.used() if self.form.name == "jsonl" else self.names)
        if missing := sorted(wanted - set(names)):
            raise DataError(
                f"the shard has no column {missing[0][:40]!r}", where=shard.url,
                why=f"it has {', '.join(map(repr, names[:8]))}",
                fix="write all shards with the same columns",
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """The first rows of some shards.

    Args:
        table: The rows.
        form: How they are written.
        num_rows: How many rows the shards have altogether, about.
    """

    table: Table
    form: Format
    num_rows: int


def sample(shards: Shards, options: TextOptions) -> Sample:
    """Return the first rows of some shards.

    Raises:
        DataError: A shard is missing, damaged or of another kind.
        NetworkError: A server does not answer.
    """
    if options.encoding and codecs.lookup(options.encoding).name not in _UTF8:
        raise DataError(
            f"shards are read as UTF-8, and encoding is {options.encoding}", where=shards.pattern,
            fix="write them in UTF-8",
        )  # fmt: skip
    files = shards.shards
    form = _format(files[0], options)
    names = columns_of(files[0], form)
    columns: dict[str, list[Cell]] = {name: [] for name in names}
    step = -(-len(files) // _LOOKED_AT)
    for shard in files[::step]:
        unit = units_of(shard, form)[0]
        have = set(columns_of(shard, form))
        wanted = [name for name in names if form.name == "jsonl" or name in have]
        for rows in islice(read(unit, form, wanted), 1):
            for name in names:
                cells = list(rows.get(name, ()))[:_ROWS]
                columns[name] += cells or [None] * min(len(next(iter(rows.values()))), _ROWS)
    lines = list(range(1, len(columns[names[0]]) + 1))
    size = sum(len(str(cell)) for column in columns.values() for cell in column)
    # Of Parquet, which is compressed, it is a third or so of what it is.
    estimate = int(len(lines) * shards.size / max(size, 1))
    table = Table(shards.pattern, columns, lines, form.name, "row")
    table.check()
    return Sample(table, form, max(len(lines), estimate))


def look(
    shards: Shards, options: TextOptions, kind: str, names: Sequence[str] | None = None
) -> Layout:
    """Return how shards are read.

    Args:
        shards: The files.
        options: Columns, delimiter and quote, where the user gives them.
        kind: ``classes``, ``multilabel`` or ``numbers``, or ``auto``; empty: there are no labels.
        names: Labels of a trained task.

    Raises:
        DataError: They have no column that may be it, or several; or a shard cannot be read.
        NetworkError: A server does not answer.
    """
    found = sample(shards, options)
    table, coding = found.table, None
    parts = [arrow.part_of(shard.name.split(".")[0]) for shard in shards.shards]
    if len(set(parts)) == 1:
        parts = [NO_PART] * len(parts)
    table.parts = [NO_PART] * len(table.lines) if set(parts) != {NO_PART} else None
    if kind:
        columns = choose_columns(table, options.text_column, options.label_column)
        coding = find_coding(table.columns[columns.label], columns.label, kind, names)
    else:
        text = choose_text_column(table, options.text_column)
        columns = Columns(text, "", _part_column(table, text))
    resolved = {"text_column": columns.text}
    if coding is not None:
        resolved |= {"label_column": columns.label, "labels": coding.kind}
    return Layout(found.form, tuple(table.columns), columns, coding, tuple(parts), resolved)


def _part_column(table: Table, text: str) -> str:
    """Return the column that says which part a row is in, or nothing."""
    for name in table.columns:
        alone = Table(table.where, {name: table.columns[name]}, table.lines, table.form)
        if name != text and set(row_parts(alone)) != {NO_PART}:
            return name
    return ""


def _format(shard: Shard, options: TextOptions) -> Format:
    start = head(shard, 1 << 18)
    name = name_of_format(shard, start)
    if name == "text":
        return Format(name, paragraphs=b"\n\n" in start.replace(b"\r\n", b"\n").strip())
    if name != "delimited":
        return Format(name)
    text = start.decode("utf-8-sig", "ignore")
    lines = first_lines(io.StringIO(text))
    given, quote = given_dialect(options)
    quotes = ['"', ""] if quote is None else [quote]
    suffix = ".tsv" if ".tsv" in shard.name or ".tab" in shard.name else ".csv"
    with long_cells():
        delimiter = given or find_delimiter(lines, quotes, suffix)
        dialect = Dialect(delimiter or ("\t" if suffix == ".tsv" else ","), quotes[0])
        rows = [row for row in dialect.reader(iter(lines), strict=False) if row]
    width = len(rows[0]) if rows else 0
    whole = [row for row in rows if len(row) == width]
    header = options.header == "yes" or (
        options.header == "auto" and has_header(list(zip(*whole, strict=True)))
    )
    return Format(name, dialect, has_header=header)
