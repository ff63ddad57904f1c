"""Shards as batches of rows, each read from the beginning to the end in constant memory."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import IO, cast

from zoo.data import shard_files as shards
from zoo.data.shard_files import Shard
from zoo.data.text import decode
from zoo.errors import DataError, NetworkError
from zoo_text.shards.formats import BATCH, TEXT, Format, Rows, Unit
from zoo_text.shards.parquet import opened_parquet, read_parquet
from zoo_text.tables.header import unique_names
from zoo_text.tables.objects import as_cell, parse_object
from zoo_text.tables.rows import long_cells
from zoo_text.tables.streams import MAX_TEXT, compression_of, damage, decompressed
from zoo_text.tables.table import Cell

# Bytes of a shard that a process reads at a time, where it can be divided.
_UNIT = 1 << 26


def units_of(shard: Shard, form: Format) -> list[Unit]:
    """Return a shard in parts of about 64 MiB: row groups of Parquet, ranges of lines."""
    if form.name == "parquet":
        with opened_parquet(shard) as file:
            sizes = [file.metadata.row_group(n).total_byte_size for n in range(file.num_row_groups)]
        found, first, total = [], 0, 0
        for number, size in enumerate(sizes, 1):
            total += size
            if total >= _UNIT or number == len(sizes):
                found.append(Unit(shard, first, number))
                first, total = number, 0
        return found
    by_line = form.name == "jsonl" or (form.name == "text" and not form.paragraphs)
    if by_line and shard.size > _UNIT and not compression_of(head(shard, 8, raw=True)):
        edges = range(0, shard.size, _UNIT)
        return [Unit(shard, first, min(first + _UNIT, shard.size)) for first in edges]
    return [Unit(shard, 0, shard.size)]


def head(shard: Shard, size: int, *, raw: bool = False) -> bytes:
    """Return the first bytes of a shard, decompressed unless ``raw``."""
    with _stream(shard, raw=raw) as stream:
        return stream.read(size)


def columns_of(shard: Shard, form: Format) -> list[str]:
    """Return the names of the columns of a shard; of JSONL, the keys of its first row."""
    if form.name == "parquet":
        with opened_parquet(shard) as file:
            return list(file.schema_arrow.names)
    if form.name == "text":
        return [TEXT]
    with _stream(shard) as stream:
        if form.name == "jsonl":
            lines = enumerate(_lines(stream, shard, None), 1)
            number, line = next(((n, line) for n, line in lines if line.strip()), (1, b""))
            return list(_object(line, f"{shard.url}, line {number}"))
        first = next(_delimited(stream, form, shard), [])
    return unique_names(first) if form.has_header else [str(n + 1) for n in range(len(first))]


def read(unit: Unit, form: Format, columns: Sequence[str]) -> Iterator[Rows]:
    """Yield batches of rows.

    Args:
        unit: What is read.
        form: How it is written.
        columns: Those that are read.

    Raises:
        DataError: The shard is missing, damaged, lacks a column, or has changed meanwhile.
        NetworkError: A server does not answer, or not to the end.
    """
    if form.name == "parquet":
        yield from read_parquet(unit, columns)
        return
    rows = _text_rows(unit, form, columns)
    while batch := list(islice(rows, BATCH)):
        yield dict(zip(columns, zip(*batch, strict=True), strict=True))


@contextmanager
def _stream(shard: Shard, *, raw: bool = False) -> Iterator[IO[bytes]]:
    with shards.opened(shard) as file, damage(shard.url), shards.naming(shard.url):
        kind = "" if raw else compression_of(file.read(8))
        file.seek(0)
        buffered = io.BufferedReader(cast("io.RawIOBase", file), 1 << 20)
        yield decompressed(buffered, kind) if kind else buffered


def _text_rows(unit: Unit, form: Format, columns: Sequence[str]) -> Iterator[list[Cell]]:
    shard = unit.shard
    with shards.opened(shard) as file, damage(shard.url), shards.naming(shard.url):
        kind = compression_of(file.read(8))
        file.seek(max(0, unit.first - 1))
        buffered = io.BufferedReader(cast("io.RawIOBase", file), 1 << 20)
        stream = decompressed(buffered, kind) if kind else buffered
        if form.name == "delimited":
            names = columns_of(shard, form)
            chosen = [names.index(name) for name in columns]
            # Closed before the file is, where not all rows are read.
            with closing(_delimited(stream, form, shard)) as cells:
                if form.has_header:
                    next(cells, None)
                yield from (list[Cell](row[n] for n in chosen) for row in cells)
        elif form.paragraphs:
            yield from (list[Cell]([text]) for text in _paragraphs(stream, shard))
        else:
            if unit.first:
                stream.readline()  # It began in the unit before.
            end = None if kind or unit.after == shard.size else unit.after
            for number, line in enumerate(_lines(stream, shard, end), 1):
                if form.name == "text":
                    yield [decode(line, shard.url).rstrip("\r\n")]
                elif line.strip():
                    after = f" after byte {unit.first:,}" if unit.first else ""
                    row = _object(line, f"{shard.url}, line {number:,}{after}")
                    yield [as_cell(row.get(name)) for name in columns]
        if unit.after == shard.size and buffered.tell() < shard.size:
            raise NetworkError(
                "the shard ends early", where=shard.url,
                why=f"{buffered.tell():,} of {shard.size:,} bytes", fix="try again later",
            )  # fmt: skip


def _lines(stream: IO[bytes], shard: Shard, end: int | None) -> Iterator[bytes]:
    at = 0 if end is None else stream.tell()
    while end is None or at < end:
        line = stream.readline(MAX_TEXT)
        if not line:
            return
        if len(line) == MAX_TEXT:
            raise DataError("a line is longer than 64 MiB", where=shard.url)
        at += len(line)
        yield line


def _paragraphs(stream: IO[bytes], shard: Shard) -> Iterator[str]:
    rest = b""
    while block := stream.read(1 << 20):
        *whole, rest = (rest + block).replace(b"\r\n", b"\n").split(b"\n\n")
        if len(rest) > MAX_TEXT:
            raise DataError("a paragraph is longer than 64 MiB", where=shard.url)
        yield from (decode(text, shard.url) for text in whole)
    if rest.strip():
        yield decode(rest, shard.url).rstrip("\n")


def _object(line: bytes, where: str) -> dict[str, object]:
    try:
        row = parse_object(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        row = None
    if row is None:
        raise DataError(
            "a line is no JSON object", where=where,
            fix="write or fetch the shard again",
        )  # fmt: skip
    return row


def _delimited(stream: IO[bytes], form: Format, shard: Shard) -> Generator[list[str], None, None]:
    text = io.TextIOWrapper(cast("io.BufferedReader", stream), "utf-8-sig", newline="")
    width = 0
    try:
        with long_cells():
            for number, row in enumerate(form.dialect.reader(text, strict=False), 1):
                width = width or len(row)
                if row and len(row) != width:
                    raise DataError(
                        f"row {number:,} has {len(row)} columns, and the first has {width}",
                        where=shard.url, fix="correct it, or give --set delimiter=...",
                    )  # fmt: skip
                if row:
                    yield row
    except UnicodeDecodeError as error:
        raise DataError("text is not UTF-8", where=shard.url, why=str(error)) from error
    finally:
        text.detach()
