"""Tables that Apache Arrow reads: Parquet, Feather, Arrow files and streams, Hugging Face data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.errors import DataError
from zoo_text.tables.objects import as_cell
from zoo_text.tables.table import MAX_COLUMNS, NO_PART, PART_NAMES, Cell, Table, joined

_FORMS = {b"PAR1": "Parquet", b"ARROW1": "Arrow", b"FEA1": "Feather"}
_STREAM = b"\xff\xff\xff\xff"


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
    data = _load(path, form)
    table = Table(str(path), _columns(data, path), list(range(1, data.num_rows + 1)), form, "row")
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
        data = _load(path / name, "")
        lines = list(range(1, data.num_rows + 1))
        tables.append((Table(where, _columns(data, path / name), lines, "", "row"), NO_PART))
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


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise DataError(
            "reading Parquet and Arrow needs the package pyarrow",
            fix="pip install 'seqzoo[tables]'",
        ) from error
    return pyarrow


def _load(path: Path, form: str) -> Any:
    """Return a ``pyarrow.Table``."""
    pa = _pyarrow()
    from pyarrow import feather, ipc, parquet

    try:
        if not form:
            with path.open("rb") as file:
                form = arrow_form(file.read(16)) or "Arrow stream"
        if form == "Parquet":
            return parquet.ParquetFile(path).read()
        if form == "Feather":
            return feather.read_table(path)
        with path.open("rb") as file:
            reader = ipc.open_stream(file) if form == "Arrow stream" else ipc.open_file(file)
            return reader.read_all()
    except (pa.ArrowException, OSError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise DataError(
            f"cannot read the {form} file", where=str(path), why=why, fix="write or fetch it again"
        ) from error


def _columns(data: Any, path: Path) -> dict[str, list[Cell]]:
    if data.num_columns > MAX_COLUMNS:
        raise DataError(f"more than {MAX_COLUMNS:,} columns", where=str(path))
    classes = _class_names(data.schema)
    columns: dict[str, list[Cell]] = {}
    for name in dict.fromkeys(data.column_names):
        column = data.column(data.column_names.index(name))
        try:
            cells = [as_cell(cell) for cell in column.to_pylist()]
        except (ValueError, OverflowError, UnicodeError) as error:
            raise DataError(
                f"cannot read column {name!r}", where=str(path), why=str(error)
            ) from error
        columns[name] = [_named(c, classes[name]) for c in cells] if name in classes else cells
    return columns


def _class_names(schema: Any) -> dict[str, list[str]]:
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


def _named(cell: Cell, names: list[str]) -> Cell:
    """Return the names of class numbers; -1 stands for a label that is not known."""
    if isinstance(cell, list):
        return [_named(item, names) for item in cell if isinstance(item, int)]
    if isinstance(cell, int) and not isinstance(cell, bool):
        return names[cell] if 0 <= cell < len(names) else None
    return cell
