"""Parquet files with a column of texts: read and written in constant memory."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Self

from zoo.errors import DataError, UsageError, did_you_mean, listed
from zoo.interfaces import Prediction
from zoo.prediction import CHUNK, CHUNK_CHARACTERS

# What is read of a column at a time.
_BUFFER_BYTES = 1 << 18
# A row group is written when it has as many rows or bytes.
_GROUP_ROWS, _GROUP_BYTES = 1 << 17, 1 << 25


def require_pyarrow() -> None:
    """Refuse to go on without pyarrow.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "Parquet needs the package pyarrow", fix="pip install 'seqzoo[tables]'"
        ) from error


@dataclass(frozen=True, slots=True)
class ParquetTexts:
    """A Parquet file and its column of texts.

    Args:
        path: The file.
        column: The name of the column.
        schema: The columns of the file, as pyarrow has them.
        num_rows: How many rows it has.
        batch_rows: How many rows are read at a time: by their mean length those of a chunk.
    """

    path: Path
    column: str
    schema: Any
    num_rows: int
    batch_rows: int

    def batches(self) -> Iterator[Any]:
        """Yield the rows as record batches, none of them empty.

        Raises:
            DataError: The file is damaged, or a text is null.
        """
        import pyarrow as pa

        try:
            with _open(self.path) as file:
                for batch in file.iter_batches(self.batch_rows):
                    if nulls := batch.column(self.column).null_count:
                        raise _null(self.path, self.column, f"{nulls:,} or more are")
                    if len(batch):
                        yield batch
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(self.path, error) from error

    def texts(self, batch: Any) -> list[str]:
        """Return the texts of a batch."""
        texts: list[str] = batch.column(self.column).to_pylist()
        return texts


def find_texts(path: Path, column: str, default: str) -> ParquetTexts:
    """Read what a Parquet file says of itself, and find its column of texts.

    Args:
        path: The file.
        column: The column; empty: ``default``, ``text``, or the only one of strings.
        default: The column of the training.

    Raises:
        DataError: It is missing or no Parquet file, or has no such column of texts.
        UsageError: Several columns may have the texts.
    """
    with _open(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
    if repeated := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        raise DataError(f"several columns are named {listed(repeated)}", where=str(path))
    found = [field.name for field in schema if _has_texts(field.type)]
    column = column or next((name for name in (default, "text") if name in found), "")
    if not column and len(found) > 1:
        why, fix = f"they may be in {listed(found)}", "choose with --text-column"
        raise UsageError("no column of texts is chosen", where=str(path), why=why, fix=fix)
    column = column or "".join(found)
    known = f"columns are {listed(schema.names)}"
    if not column:
        raise DataError("no column has texts", where=str(path), why=known)
    if column not in schema.names:
        what = f"no column {column!r}{did_you_mean(column, schema.names)}"
        raise DataError(what, where=str(path), why=known)
    if column not in found:
        why = f"it is {schema.field(column).type}"
        raise DataError(f"column {column!r} has no texts", where=str(path), why=why)
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    paths = [metadata.schema.column(n).path for n in range(metadata.num_columns)]
    statistics = [group.column(paths.index(column)).statistics for group in groups]
    if nulls := sum(s.null_count or 0 for s in statistics if s is not None):
        raise _null(path, column, f"{nulls:,} of {metadata.num_rows:,} are")
    mean = sum(group.total_byte_size for group in groups) // max(metadata.num_rows, 1)
    rows = min(CHUNK, max(CHUNK_CHARACTERS // max(mean, 1), 1))
    return ParquetTexts(path, column, schema, metadata.num_rows, rows)


def _has_texts(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _open(path: Path) -> Any:
    """Open a Parquet file, of which little is read ahead."""
    from pyarrow import ArrowException, parquet

    try:
        return parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES)
    except (ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    why = " ".join(str(error).split())
    fix = "" if path.suffix == ".parquet" else "give Parquet, or texts one a line on stdin"
    return DataError("cannot read the Parquet file", where=str(path), why=why, fix=fix)


def _null(path: Path, column: str, why: str) -> DataError:
    fix = "leave these rows out, or fill them in"
    return DataError(f"texts are null in column {column!r}", where=str(path), why=why, fix=fix)


def answer_schema(schema: Any, kind: type[Prediction], prefix: str, where: Path) -> Any:
    """Return the columns of a table with those of its predictions.

    Args:
        schema: The columns of the table, as pyarrow has them.
        kind: The class of the predictions.
        prefix: Put before the names of the added columns.
        where: The file of the table.

    Raises:
        UsageError: Two columns would have the same name.
    """
    import pyarrow as pa

    hints = typing.get_type_hints(kind)
    for name in answer_fields(kind):
        if prefix + name in schema.names:
            raise UsageError(
                f"there is a column {prefix + name!r} already",
                where=str(where),
                fix="choose other names for the answers, such as with --prefix predicted_",
            )
        schema = schema.append(pa.field(prefix + name, _arrow_type(hints[name]) or pa.string()))
    return schema


def answer_fields(kind: type[Prediction]) -> list[str]:
    """Return what a prediction has beside its text."""
    return [field.name for field in fields(kind) if field.name != "text"]


def _arrow_type(hint: Any) -> Any:
    """Return the Arrow type of a type of Python; None: there is none, JSON is written."""
    import pyarrow as pa

    plain = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
    if hint in plain:
        return plain[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and len(inner) == 2 and inner[1] is ... and inner[0] in plain:
        return pa.list_(plain[inner[0]])
    if origin is Mapping and inner[0] is str and inner[1] in plain:
        return pa.map_(pa.string(), plain[inner[1]])
    return None


class AnswersWriter:
    """Writes the rows of a table with the fields of their predictions; used in a ``with`` block.

    Args:
        file: The binary file; it is not closed.
        schema: As :func:`answer_schema` returns it.
        kind: The class of the predictions.
    """

    def __init__(self, file: BinaryIO, schema: Any, kind: type[Prediction]) -> None:
        from pyarrow import parquet

        hints = typing.get_type_hints(kind)
        self._types = {name: _arrow_type(hints[name]) for name in answer_fields(kind)}
        self._schema = schema
        self._writer = parquet.ParquetWriter(file, schema)
        self._group: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._group and kind is None:
                self._write_group()
        finally:
            self._writer.close()

    def write(self, batch: Any, predictions: Sequence[Prediction]) -> None:
        """Add rows; all of them are in the file when the ``with`` block of this writer ends.

        Args:
            batch: Rows of the table, as a record batch.
            predictions: One for each row.
        """
        import pyarrow as pa

        columns = list(batch.columns)
        for name, kind in self._types.items():
            values = [getattr(prediction, name) for prediction in predictions]
            if kind is None:
                values = [json.dumps(value, ensure_ascii=False) for value in values]
            elif pa.types.is_map(kind):
                values = [list(value.items()) for value in values]
            columns.append(pa.array(values, kind or pa.string()))
        self._group.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        rows = sum(map(len, self._group))
        if rows >= _GROUP_ROWS or sum(b.nbytes for b in self._group) >= _GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_batches(self._group, self._schema))
        self._group = []
