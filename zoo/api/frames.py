"""Tables of Python: DataFrames, mappings of columns and lists of pairs, written as JSON lines.

No library of tables is imported: a DataFrame is what has ``columns`` and gives one by its name.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeGuard

from zoo.engine.run_directory import RunDirectory
from zoo.errors import DataError, UsageError
from zoo.files import write_atomically


class Frame(Protocol):
    """What a DataFrame of pandas or polars has."""

    @property
    def columns(self) -> Any:
        """The names of the columns."""
        ...

    def __getitem__(self, name: Any, /) -> Any:
        """Return a column."""
        ...


Table = Frame | Mapping[str, Iterable[Any]] | Iterable[tuple[Any, Any]]
Source = str | Path | Table
"""Data: a path or a name; or a table."""


def is_table(source: Source) -> TypeGuard[Table]:
    """Return whether data is a table, not a path or a name."""
    return not isinstance(source, str | os.PathLike)


@contextmanager
def written(tables: Mapping[str, Table], directory: RunDirectory) -> Iterator[dict[str, Path]]:
    """Have tables in files of a run directory; removed again if no run is started there.

    Args:
        tables: By what they are: ``data``, ``validation_data``, ``test_data``.
        directory: The run directory, which is locked.

    Yields:
        The file of each: ``data.jsonl``, ``validation.jsonl``, ``test.jsonl``.

    Raises:
        DataError: A table has a value that cannot be written.
        TypeError: It is no table.
        UsageError: There is such a file already.
        DiskError: The folder cannot be written.
    """
    contents = {part: _json_lines(_columns(table), part) for part, table in tables.items()}
    paths = {part: directory.path / f"{part.removesuffix('_data')}.jsonl" for part in tables}
    for path in paths.values():
        if path.exists():
            raise UsageError("file exists", where=str(path), fix="choose another --out")
    try:
        for part, path in paths.items():
            write_atomically(path, contents[part])
        contents.clear()
        yield paths
    finally:
        if not directory.exists():
            for path in paths.values():
                path.unlink(missing_ok=True)


def _columns(table: Table) -> dict[str, list[Any]]:
    """Return the columns of a table by name."""
    names = getattr(table, "column_names", getattr(table, "columns", None))
    if isinstance(table, Mapping):
        named = list(table.items())
    elif names is not None:
        if len(set(names)) < len(list(names)):
            raise DataError("two columns have the same name", where="the table")
        named = [(name, table[name]) for name in names]  # type: ignore[index]
    else:
        rows: list[Any] = list(table) if isinstance(table, Iterable) else [table]
        if not all(isinstance(row, tuple | list) and len(row) == 2 for row in rows):
            raise TypeError(
                f"data is a {type(table).__name__}: give a path, a DataFrame, a mapping of "
                "columns, or a list of pairs (text, label)"
            )
        named = [("text", [text for text, _ in rows]), ("label", [label for _, label in rows])]
    columns = {str(name): _values(column, name) for name, column in named}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} has {count:,}" for name, count in lengths.items())
        raise DataError("columns have different lengths", where="the table", why=counts)
    if not any(lengths.values()):
        raise DataError("no rows", where="the table")
    return columns


def _values(column: Any, name: object) -> list[Any]:
    if isinstance(column, str):
        raise TypeError(f"column {name!r} is a single string")
    for method in ("to_list", "tolist", "to_pylist"):
        if hasattr(column, method):
            values = getattr(column, method)()
            break
    else:
        values = list(column)
    if not isinstance(values, list):
        raise TypeError(f"column {name!r} is a {type(column).__name__}, not a column")
    return values


def _json_lines(columns: Mapping[str, list[Any]], part: str) -> bytes:
    lines = []
    names = list(columns)
    for number, row in enumerate(zip(*columns.values(), strict=True), 1):
        where = f"row {number:,} of {part.replace('_', ' ')}"
        values = {
            name: _plain(value, f"{where}, column {name!r}")
            for name, value in zip(names, row, strict=True)
        }
        try:
            lines.append(json.dumps(values, ensure_ascii=False).encode() + b"\n")
        except UnicodeEncodeError as error:
            raise DataError("text is not Unicode", where=where, why=error.reason) from error
    return b"".join(lines)


def _plain(value: Any, where: str) -> Any:
    """Return a value as JSON has it: missing ones are None, arrays and tuples are lists."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | decimal.Decimal):
        number = float(value)
        if math.isinf(number):
            raise DataError("a number is not finite", where=where)
        return None if math.isnan(number) else number
    if type(value).__name__ in ("NAType", "NaTType"):  # Of pandas.
        return None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(item, where) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(item, where) for item in value), key=str)
    if hasattr(value, "tolist"):  # Numbers and arrays of NumPy.
        return _plain(value.tolist(), where)
    if hasattr(value, "to_list"):  # A list in a column of polars is a Series.
        return _plain(value.to_list(), where)
    raise DataError(f"a value is a {type(value).__name__}", where=where, fix="make it a string")
