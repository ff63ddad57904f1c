"""Tables in JSON and JSONL files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from zoo.errors import DataError
from zoo_text.options import TextOptions
from zoo_text.tables.encodings import Encoding, detect, text_of
from zoo_text.tables.streams import MAX_TEXT
from zoo_text.tables.table import MAX_COLUMNS, PART_NAMES, Cell, Table, Tally, joined

# Objects in memory take ten times the length of their text.
_MAX_CHARACTERS = 1 << 28
# Few long rows and many short ones make columns that are nearly empty: so many cells, and so many
# times as many as are filled.
_MAX_EMPTY, _MAX_SPARSE = 1 << 24, 20
_SCALARS = (str, int, float, bool, type(None))
_FIX = "give a list of objects, an object of columns, or JSONL: one object a line"


def read_json(path: Path, options: TextOptions) -> Table:
    """Read a JSON file: a list of objects, an object of columns, or an object with a list.

    An object of lists of objects whose names are those of parts has these parts.

    Raises:
        DataError: It is no JSON, or none of these.
    """
    encoding = detect(path, options.encoding)
    with text_of(path, encoding) as stream:
        text = stream.read(_MAX_CHARACTERS)
    if len(text) == _MAX_CHARACTERS:
        raise DataError(
            f"JSON of more than {_MAX_CHARACTERS:,} characters", where=str(path), fix="give JSONL"
        )
    try:
        document = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise DataError("not JSON", where=str(path), why=str(error), fix=_FIX) from error
    table = _of_document(document, path, encoding)
    table.check()
    return table


def read_jsonl(path: Path, options: TextOptions) -> Table:
    """Read a JSONL file: one object a line.

    Raises:
        DataError: More than 5 % of its lines are none.
    """
    encoding = detect(path, options.encoding)
    lines: list[int] = []
    ragged = Tally()

    def rows() -> Iterator[Mapping[str, object]]:
        # Line ends are untouched: \r\n is one, \r alone is one, too.
        number = 0
        while line := stream.readline(MAX_TEXT):
            if len(line) == MAX_TEXT:
                raise DataError("a line is longer than 67 million characters", where=str(path))
            number += 1
            if not line.strip():
                continue
            if (row := parse_object(line)) is None:
                ragged.add(number)
                continue
            lines.append(number)
            yield row

    with text_of(path, encoding) as stream:
        columns = columns_of(rows(), str(path))
    table = Table(str(path), columns, lines, f"JSONL, {encoding}", "line", ragged=ragged)
    table.check()
    return table


def parse_object(line: str) -> dict[str, object] | None:
    """Return the JSON object on a line, or None if it is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def columns_of(rows: Iterable[Mapping[str, object]], where: str) -> dict[str, list[Cell]]:
    """Return rows as columns; what a row lacks is missing.

    Raises:
        DataError: There are more than 1,000 different keys.
    """
    columns: dict[str, list[Cell]] = {}
    filled = 0
    for count, row in enumerate(rows):
        for name in row:
            if name not in columns:
                columns[name] = [None] * count
        if len(columns) > MAX_COLUMNS:
            raise DataError(f"more than {MAX_COLUMNS:,} columns", where=where, fix=_FIX)
        filled += len(row)
        if len(columns) * count > max(_MAX_EMPTY, _MAX_SPARSE * filled):
            raise DataError(
                "most cells are empty", where=where, why=f"{len(columns):,} columns", fix=_FIX
            )
        for name, column in columns.items():
            cell = row.get(name)
            column.append(cell if cell is None or type(cell) is str else as_cell(cell))
    return columns


def as_cell(value: object) -> Cell:
    """Return a value of any type as a cell: an object as its JSON text, a date as its text."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | tuple | dict):
        if not isinstance(value, dict) and all(isinstance(item, _SCALARS) for item in value):
            return list(value)
        try:
            return json.dumps(value, ensure_ascii=False, default=str)
        except (ValueError, TypeError, RecursionError):
            return str(type(value))
    # The missing values of pandas.
    return None if str(value) in ("<NA>", "NaT") else str(value)


def _of_document(document: object, path: Path, encoding: Encoding) -> Table:
    form = f"JSON, {encoding}"
    if isinstance(document, list):
        return _of_list(document, path, form)
    if isinstance(document, dict) and document:
        lists = {name: value for name, value in document.items() if isinstance(value, list)}
        if isinstance(names := lists.get("columns"), list) and isinstance(
            data := lists.get("data"), list
        ):
            rows: list[object] = [
                # What is no list is counted as ragged.
                dict(zip(map(str, names), row, strict=False)) if isinstance(row, list) else None
                for row in data
            ]
            return _of_list(rows, path, form)
        parts = {name: PART_NAMES[name.lower()] for name in lists if name.lower() in PART_NAMES}
        if parts and all(_is_rows(lists[name]) for name in parts):
            tables = [(_of_list(lists[name], path, form), part) for name, part in parts.items()]
            return joined(tables, str(path))
        of_rows = [value for value in lists.values() if _is_rows(value)]
        if len(of_rows) == 1:
            return _of_list(of_rows[0], path, form)
        columns = _columns(document)
        lengths = {len(column) for column in columns.values()}
        if len(columns) == len(document) > 1 and len(lengths) == 1:
            cells = {name: [as_cell(cell) for cell in col] for name, col in columns.items()}
            return Table(str(path), cells, list(range(1, max(lengths) + 1)), form, "row")
    raise DataError("no table", where=str(path), why=f"the content is {form}", fix=_FIX)


def _columns(document: Mapping[str, object]) -> dict[str, Sequence[object]]:
    """Return columns that are lists, or objects by row number as pandas writes them."""
    found: dict[str, Sequence[object]] = {}
    first = next(iter(document.values()))
    for name, value in document.items():
        if isinstance(value, list):
            found[name] = value
        elif isinstance(value, dict) and isinstance(first, dict) and list(value) == list(first):
            found[name] = list(value.values())
    return found


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _of_list(rows: list[object], path: Path, form: str) -> Table:
    """Return a table of objects, or of lists of one length, whose columns are numbered."""
    ragged = Tally()
    good: list[Mapping[str, object]] = []
    lines: list[int] = []
    width = len(rows[0]) if rows and isinstance(rows[0], list) else 0
    for number, row in enumerate(rows, 1):
        if width and isinstance(row, list) and len(row) == width:
            row = {str(n): cell for n, cell in enumerate(row, 1)}
        if not isinstance(row, dict):
            ragged.add(number)
            continue
        good.append(row)
        lines.append(number)
    table = Table(str(path), columns_of(good, str(path)), lines, form, "row", ragged=ragged)
    if not lines:
        raise DataError("no table", where=str(path), why="the list has no objects", fix=_FIX)
    return table
