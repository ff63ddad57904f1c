"""What a path is, by its content first and its name second."""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path

from zoo.errors import DataError
from zoo_text.options import TextOptions
from zoo_text.tables import arrow, delimited, folders, objects
from zoo_text.tables.dialects import find_delimiter, separator_line
from zoo_text.tables.encodings import detect, text_of
from zoo_text.tables.rows import long_cells
from zoo_text.tables.streams import (
    SUFFIXES_OF_COMPRESSION,
    compression,
    head,
    is_folder,
    is_tar,
    refuse_other_kinds,
)
from zoo_text.tables.table import NO_PART, Table, joined

_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".parquet", ".feather", ".arrow", *_JSON_SUFFIXES)


def read_table(path: Path, options: TextOptions) -> Table:
    """Read a table from a file or folder of any kind.

    Raises:
        DataError: It is missing, damaged, no table, or more than 5 % of its rows are ragged.
    """
    if is_folder(path):
        return _read_folder(path, options)
    start = head(path, 1 << 16)
    refuse_other_kinds(path, start)
    if arrow.arrow_form(start):
        _refuse_compressed(path, start)
        return arrow.read_arrow(path, start)
    kind = json_kind(path, options)
    if not kind:
        return delimited.read_delimited(path, options)
    try:
        return (
            objects.read_jsonl(path, options)
            if kind == "jsonl"
            else objects.read_json(path, options)
        )
    except DataError:
        if delimited.plain_suffix(path) in _JSON_SUFFIXES:
            raise
        return delimited.read_delimited(path, options)


def looks_like_table(path: Path) -> bool:
    """Return whether a path may be a table of texts and labels, by its first bytes.

    A novel, a list of words and an archive of several files are none.

    Raises:
        DataError: The path is missing, or a file that no task can read, such as an Excel file.
    """
    if is_folder(path):
        return (
            arrow.is_dataset_folder(path)
            or bool(_tables_of_parts(path))
            or folders.is_folder_of_texts(path)
        )
    start = head(path, 1 << 16)
    if is_tar(start):
        return False
    refuse_other_kinds(path, start)
    options = TextOptions()
    if arrow.arrow_form(start) or delimited.plain_suffix(path) in _TABLE_SUFFIXES:
        return True
    with text_of(path, detect(path, "")) as stream:
        lines = delimited.first_lines(stream)
    if json_kind(path, options):
        return True
    known = lines and separator_line(lines[0])
    with long_cells():
        return len(lines) > 2 and bool(known or find_delimiter(lines, ['"', ""], ""))


def json_kind(path: Path, options: TextOptions) -> str:
    """Return ``json`` or ``jsonl`` if a text file begins as one, otherwise nothing."""
    with text_of(path, detect(path, options.encoding)) as stream:
        start = stream.read(1 << 18).removeprefix("\ufeff").lstrip()
    lines = [line for line in islice(io.StringIO(start), 3) if line.strip()]
    suffix = delimited.plain_suffix(path)
    if not start.startswith(("{", "[")):
        return "json" if suffix == ".json" else "jsonl" if suffix in _JSON_SUFFIXES else ""
    if start.startswith("[") and suffix in _JSON_SUFFIXES:
        return "json"
    if start.startswith("["):
        return "json" if start[1:].lstrip().startswith(("{", "[")) else ""
    one = objects.parse_object(lines[0])
    if len(lines) > 1 and one is not None and lines[1].lstrip().startswith("{"):
        return "jsonl"
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    return "json" if one is not None or suffix == ".json" or '"' in lines[0] + lines[-1] else ""


def _read_folder(path: Path, options: TextOptions) -> Table:
    if arrow.is_dataset_folder(path):
        return arrow.read_dataset_folder(path)
    if tables := _tables_of_parts(path):
        return joined([(read_table(file, options), part) for file, part in tables], path.name)
    return folders.read_folders(path, options)


def _tables_of_parts(path: Path) -> list[tuple[Path, int]]:
    """Return tables in a folder, or its folder ``data``, that are named after parts."""
    for folder in (path, path / "data"):
        if not folder.is_dir():
            continue
        files = [
            (file, arrow.part_of(file.name.split(".")[0]))
            for file in sorted(folder.iterdir())
            if file.is_file() and delimited.plain_suffix(file) in _TABLE_SUFFIXES
        ]
        found = [(file, part) for file, part in files if part != NO_PART]
        if any(part == 0 for _, part in found):
            return found
    return []


def _refuse_compressed(path: Path, start: bytes) -> None:
    if kind := compression(path):
        raise DataError(
            f"{arrow.arrow_form(start)} within {kind}",
            where=str(path),
            why=f"these formats are compressed themselves ({', '.join(SUFFIXES_OF_COMPRESSION)})",
            fix="unpack it first",
        )
