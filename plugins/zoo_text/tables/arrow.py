"""Tables that Apache Arrow reads: Parquet, Feather, Arrow files and streams, Hugging Face data."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from zoo.errors import DataError
from zoo_text.tables.objects import as_cell
from zoo_text.tables.streams import require_regular
from zoo_text.tables.table import MAX_COLUMNS, NO_PART, PART_NAMES, Cell, Table, joined

_FORMS = {b"PAR1": "Parquet", b"ARROW1": "Arrow", b"FEA1": "Feather"}
_STREAM = b"\xff\xff\xff\xff"
# Rows of a table: a file of a kilobyte may claim any number.
_MAX_ROWS = 1 << 24
# Bytes of the columns in memory, or this many times the length of the file.
_MAX_BYTES, _MAX_RATIO = 1 << 28, 100
_BATCH_ROWS, _SHARED_ROWS = 4096, 32
# First bytes of compressed buffers, which follow their length in 8 bytes.
_COMPRESSED = (b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")


def arrow_form(start: bytes) -> str:
    """Return the format that first bytes tell, or nothing."""
    if start.startswith(_STREAM) and start[8:12] != _STREAM:
        return "Arrow stream"
    return next((form for magic, form in _FORMS.items() if start.startswith(magic)), "")


def is_dataset_folder(path: Path) -> bool:
    """Return whether a folder is what ``save_to_disk`` of Hugging Face datasets writes."""
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


def read_arrow(path: Path, start: bytes) -> Table:
    """Read a Parquet, Feather or Arrow file.

    Raises:
        DataError: It is damaged, or pyarrow is missing.
    """
    form = arrow_form(start)
    columns, rows = _load(path, form)
    table = Table(str(path), columns, list(range(1, rows + 1)), form, "row")
    table.check()
    return table


def read_dataset_folder(path: Path) -> Table:
    """Read a folder that ``save_to_disk`` wrote, of one dataset or of several parts.

    Raises:
        DataError: It is incomplete or damaged, or pyarrow is missing.
    """
    if not (path / "dataset_dict.json").is_file():
        return _read_dataset(path, str(path))
    names = _json(path / "dataset_dict.json").get("splits")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError("no list of splits", where=str(path / "dataset_dict.json"))
    # A part that is none of the three, such as 'unsupervised', is left out.
    named = {name: part_of(name) for name in names if part_of(name) != NO_PART}
    parts = named if len(names) > 1 and named else dict.fromkeys(names, NO_PART)
    table = joined(
        [(_read_dataset(path / name, str(path)), n) for name, n in parts.items()], path.name
    )
    if left_out := sorted(set(names) - set(parts)):
        table.notes.append(f"left out the parts {', '.join(left_out)}")
    return table


def part_of(name: str) -> int:
    """Return the part that a name of a file, folder or split tells, or ``NO_PART``."""
    words = name.lower().replace("_", "-").replace(".", "-").split("-")
    found = {PART_NAMES[word] for word in words if word in PART_NAMES}
    return found.pop() if len(found) == 1 else NO_PART


def _read_dataset(path: Path, where: str) -> Table:
    files = _json(path / "state.json").get("_data_files")
    if not isinstance(files, list) or not files:
        raise DataError("no list of data files", where=str(path / "state.json"))
    tables = []
    for entry in files:
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or Path(name).name != name:
            raise DataError("a data file has no proper name", where=str(path / "state.json"))
        columns, rows = _load(path / name, "")
        lines = list(range(1, rows + 1))
        tables.append((Table(where, columns, lines, "", "row"), NO_PART))
    table = joined(tables, where)
    table.form, table.parts = "Hugging Face dataset", None
    table.lines = list(range(1, len(table.lines) + 1))
    return table


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("cannot read", where=str(path), why=str(error)) from error
    if not isinstance(document, dict):
        raise DataError("not a JSON object", where=str(path))
    return document


def pyarrow() -> Any:
    """Return the package pyarrow.

    Raises:
        DataError: It is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise DataError(
            "reading Parquet and Arrow needs the package pyarrow",
            fix="pip install 'seqzoo[tables]'",
        ) from error
    return pyarrow


def _load(path: Path, form: str) -> tuple[dict[str, list[Cell]], int]:
    """Return the columns of a file, and how many rows it has."""
    pa = pyarrow()
    try:
        require_regular(path)
        if not form:
            with path.open("rb") as file:
                form = arrow_form(file.read(16)) or "Arrow stream"
        read = _read_parquet if form == "Parquet" else _read_arrow
        schema, batches = read(path, form)
        return _columns(schema, batches, path)
    except (pa.ArrowException, OSError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise DataError(
            f"cannot read the {form} file", where=str(path), why=why, fix="write or fetch it again"
        ) from error


def _read_arrow(path: Path, form: str) -> tuple[Any, Iterable[Any]]:
    """Return the schema and the record batches of a Feather or Arrow file."""
    from pyarrow import feather, ipc

    _check_size(path, _compressed_bytes(path))
    if form == "Feather":
        data = feather.read_table(path)
    else:
        with path.open("rb") as file:
            reader = ipc.open_stream(file) if form == "Arrow stream" else ipc.open_file(file)
            data = reader.read_all()
    _check_rows(path, data.num_rows)
    # Offsets that lead elsewhere would be read without a check.
    data.validate(full=True)
    return data.schema, data.to_batches()


def _read_parquet(path: Path, form: str) -> tuple[Any, Iterable[Any]]:
    """Return the schema and the record batches of a Parquet file."""
    del form
    from pyarrow import parquet, types

    with parquet.ParquetFile(path) as file:
        _check_rows(path, file.metadata.num_rows)
        groups = [file.metadata.row_group(n) for n in range(file.num_row_groups)]
        _check_size(path, sum(group.total_byte_size for group in groups))
        schema = file.schema_arrow
    # A dictionary of a long text, and many references to it, stay that until they are counted.
    texts = [f.name for f in schema if types.is_string(f.type) or types.is_large_string(f.type)]

    def batches() -> Iterator[Any]:
        size = 0
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                size += sum(c.nbytes for c in batch.columns if not types.is_dictionary(c.type))
                _check_size(path, size)
                yield batch

    return schema, batches()


def _compressed_bytes(path: Path) -> int:
    """Return how many bytes the compressed buffers of an Arrow file say that they become.

    Arrow would allocate them before it decompresses.
    """
    total = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for magic in _COMPRESSED:
            at = content.find(magic, 8)
            while at >= 0:
                if at % 8 == 0:
                    total += max(int.from_bytes(content[at - 8 : at], "little", signed=True), 0)
                at = content.find(magic, at + 4)
    return total


def _check_rows(path: Path, rows: int) -> None:
    if rows > _MAX_ROWS:
        raise DataError(f"more than {_MAX_ROWS:,} rows", where=str(path), why=f"it has {rows:,}")


def _check_size(path: Path, size: int) -> None:
    if size > max(_MAX_BYTES, _MAX_RATIO * path.stat().st_size):
        raise DataError(
            f"content is more than {_MAX_RATIO} times as long as the file",
            where=str(path),
            why=f"{size:,} bytes",
            fix="give it as CSV or JSONL",
        )


def _columns(schema: Any, batches: Iterable[Any], path: Path) -> tuple[dict[str, list[Cell]], int]:
    if len(schema) > MAX_COLUMNS:
        raise DataError(f"more than {MAX_COLUMNS:,} columns", where=str(path))
    classes = class_names(schema)
    columns: dict[str, list[Cell]] = {name: [] for name in schema.names}
    rows = characters = 0
    for batch in batches:
        rows += len(batch)
        for name, column in columns.items():
            try:
                values = _values(batch.column(schema.names.index(name)), path)
                cells = [as_cell(cell) for cell in values]
            except (ValueError, OverflowError) as error:
                raise DataError(
                    f"cannot read column {name!r}", where=str(path), why=str(error)
                ) from error
            if name in classes:
                cells = [named(cell, classes[name]) for cell in cells]
            column += cells
            characters += sum(len(cell) for cell in cells if isinstance(cell, str))
            _check_size(path, characters)
    return columns, rows


def _values(column: Any, path: Path) -> Iterator[Any]:
    """Yield the values of an array; those that a dictionary has are made once."""
    kind, size = str(column.type), 0
    if kind.startswith("dictionary"):
        values = [*column.dictionary.to_pylist(), None]
        yield from (values[-1 if n is None else n] for n in column.indices.to_pylist())
    elif any(word in kind for word in ("dictionary", "run_end_encoded", "view")):
        # Many values may be one in the file.
        for first in range(0, len(column), _SHARED_ROWS):
            values = column.slice(first, _SHARED_ROWS).to_pylist()
            size += len(str(values))
            _check_size(path, size)
            yield from values
    else:
        yield from column.to_pylist()


def class_names(schema: Any) -> dict[str, list[str]]:
    """Return the names of classes that Hugging Face datasets keep beside numbers."""
    try:
        info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = info["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    found = {}
    for name, feature in features.items() if isinstance(features, dict) else ():
        # A list of classes is {"feature": {...}}, or [{...}] in earlier versions.
        inner = feature[0] if isinstance(feature, list) and feature else feature
        inner = inner.get("feature", inner) if isinstance(inner, dict) else None
        names = inner.get("names") if isinstance(inner, dict) else None
        if isinstance(names, list) and all(isinstance(n, str) for n in names):
            found[name] = names
    return found


def named(cell: Cell, names: list[str]) -> Cell:
    """Return the names of class numbers; -1 stands for a label that is not known."""
    if isinstance(cell, list):
        return [named(item, names) for item in cell if isinstance(item, int)]
    if isinstance(cell, int) and not isinstance(cell, bool):
        return names[cell] if 0 <= cell < len(names) else None
    return cell
