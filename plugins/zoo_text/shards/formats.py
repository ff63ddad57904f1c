"""The kinds of shards that are read, told by first bytes and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.data.shard_files import Shard
from zoo.errors import DataError
from zoo_text.tables import arrow
from zoo_text.tables.delimited import plain_suffix
from zoo_text.tables.dialects import Dialect
from zoo_text.tables.table import Cell

Rows = Mapping[str, Sequence[Cell]]
"""Cells of some rows, by column."""

TEXT = "text"
"""The column of shards that are plain text."""

# Rows that are read at once.
BATCH = 1024


@dataclass(frozen=True, slots=True)
class Format:
    """How rows are written.

    Args:
        name: ``parquet``, ``jsonl``, ``delimited`` or ``text``.
        dialect: How a delimited file separates its cells.
        has_header: Whether its first row has the names of the columns.
        paragraphs: Whether a plain text has a text in every paragraph, not on every line.
    """

    name: str
    dialect: Dialect = field(default_factory=lambda: Dialect(","))
    has_header: bool = True
    paragraphs: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """What one process reads at a time.

    Args:
        shard: The file.
        first: Its first row group, or byte.
        after: The row group or byte after the last.
    """

    shard: Shard
    first: int
    after: int


def name_of_format(shard: Shard, start: bytes) -> str:
    """Return what a shard is, by its first bytes and its name.

    Raises:
        DataError: It is of no kind that is read in shards.
    """
    suffix = plain_suffix(Path(shard.name))
    if arrow.arrow_form(start) == "Parquet":
        return "parquet"
    if suffix in (".jsonl", ".ndjson", ".json") and start.lstrip()[:1] == b"{":
        return "jsonl"
    if suffix in (".csv", ".tsv", ".tab"):
        return "delimited"
    if suffix == ".txt":
        return "text"
    if suffix == ".parquet":
        raise DataError("the shard is no Parquet", where=shard.url, fix="fetch or write it again")
    raise DataError(
        "the shard is of no kind that is read", where=shard.url,
        why="its name ends in none of .parquet, .jsonl, .csv, .tsv and .txt",
        fix="write it as one of these; all but Parquet may be compressed (.gz, .zst)",
    )  # fmt: skip
