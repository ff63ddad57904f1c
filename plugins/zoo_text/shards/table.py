"""The columns of shards that are used, copied into the cache and mapped into memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from zoo.data import store
from zoo.data.ragged import Array, IntArray
from zoo.data.shards import Shards
from zoo.errors import DataError
from zoo_text.shards.copying import MOST_LABEL_SETS, Work, copy_unit
from zoo_text.shards.layout import Layout
from zoo_text.shards.processes import map_in_processes
from zoo_text.shards.reading import units_of

# Increase it when the layout of a cache entry changes.
VERSION = 1
# Elements that are copied at once.
BLOCK = 1 << 20
_DTYPES = {"texts": np.uint8, "ends": np.int64, "parts": np.int8}


@dataclass(frozen=True, slots=True)
class ShardTable:
    """Texts and labels of shards, in the order of shards and rows, in mapped files.

    Args:
        folder: The entry of the cache.
        ends: (M,) where each text ends in ``content``.
        content: The texts in UTF-8, end to end.
        parts: (M,) the part that the data says, or ``NO_PART``.
        targets: (M,) numbers, or indexes into ``label_sets``; empty without labels.
        label_sets: The distinct labels of a text.
        left_out: Rows without a label, and without a text.
        digest: sha256 over the columns that are read, in their order, not over the files.
    """

    folder: Path
    ends: IntArray
    content: Array
    parts: IntArray
    targets: Array
    label_sets: list[tuple[str, ...]]
    left_out: tuple[int, int]
    digest: str

    @property
    def num_rows(self) -> int:
        """How many texts there are."""
        return len(self.ends)

    @property
    def texts(self) -> Texts:
        """All texts, read when they are asked for."""
        return Texts(self.content, self.ends)


class Texts(Sequence[str]):
    """Texts in a mapped file.

    Args:
        content: The texts in UTF-8, end to end.
        ends: (M,) where each ends.
        rows: (N,) which of them, in order; None: all.
    """

    def __init__(self, content: Array, ends: IntArray, rows: IntArray | None = None) -> None:
        self._content, self._ends, self._rows = content, ends, rows

    def __len__(self) -> int:
        return len(self._ends if self._rows is None else self._rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        row = index % len(self) if self._rows is None else int(self._rows[index])
        start = int(self._ends[row - 1]) if row else 0
        return self._content[start : int(self._ends[row])].tobytes().decode("utf-8")


def load(shards: Shards, layout: Layout, processes: int | None = None) -> ShardTable:
    """Return the columns of shards, reading them if they are not in the cache.

    Shards are read by several processes; the result is the same for any number of them. The entry
    belongs to the names, lengths and times (or ETags) of the shards.

    Args:
        shards: The files.
        layout: How they are read.
        processes: How many processes read; None: one for each processor.

    Raises:
        DataError: A shard is missing, damaged, has other columns, or changed meanwhile.
        NetworkError: A server does not answer, or not to the end.
        DiskError: The cache cannot be written.
    """
    key = {
        "task": "shard-table",
        "version": VERSION,
        "shards": [asdict(shard) for shard in shards.shards],
        "layout": layout.key(),
    }
    entry = store.cached(key, lambda folder: _build(folder, shards, layout, processes))
    found = json.loads((entry / "table.json").read_text(encoding="utf-8"))
    arrays = {name: mapped(entry, name) for name in (*_DTYPES, "targets")}
    return ShardTable(
        entry, arrays["ends"], arrays["texts"], arrays["parts"], arrays["targets"],
        [tuple(labels) for labels in found["label_sets"]], tuple(found["left_out"]),
        found["digest"],
    )  # fmt: skip


def mapped(folder: Path, name: str) -> Array:
    """Return an array of a cache entry as a plain array over the mapped file."""
    return np.asarray(store.load(folder, name))


def _build(folder: Path, shards: Shards, layout: Layout, processes: int | None) -> None:
    works: list[Work] = []
    for shard, part in zip(shards.shards, layout.parts, strict=True):
        for unit in units_of(shard, layout.form):
            works.append(Work(folder, len(works), unit, layout, part))
    results = list(map_in_processes(copy_unit, works, "reading shards", processes))
    rows = sum(result["rows"] for result in results)
    if not rows:
        raise DataError("no texts", where=shards.pattern, why=f"column {layout.columns.text!r}")
    sets: dict[tuple[str, ...], int] = {}
    numbers = []
    for result in results:
        theirs = [tuple(labels) for labels in result["label_sets"]]
        numbers.append(np.array([sets.setdefault(one, len(sets)) for one in theirs], np.int64))
        if len(sets) > MOST_LABEL_SETS:
            raise DataError(
                f"more than {MOST_LABEL_SETS:,} different labels", where=shards.pattern,
                fix="choose another column with --set label_column=...",
            )  # fmt: skip
    size = sum(result["bytes"] for result in results)
    for name, kind in _DTYPES.items():
        length = size if name == "texts" else rows
        parts = _joined(folder, name, np.dtype(kind), results)
        store.save_parts(folder, name, parts, kind, length)
    is_number = layout.coding is not None and layout.coding.kind == "numbers"
    dtype = np.dtype(np.float64 if is_number else np.int32)
    blocks = _joined(folder, "targets", dtype, results, None if is_number else numbers)
    store.save_parts(folder, "targets", blocks, dtype, rows if layout.coding else 0)
    total = hashlib.sha256("".join(result["digest"] for result in results).encode())
    document = {
        "label_sets": list(sets),
        "left_out": [sum(result["left_out"][n] for result in results) for n in (0, 1)],
        "digest": total.hexdigest(),
    }
    (folder / "table.json").write_text(json.dumps(document), encoding="utf-8")


def _joined(
    folder: Path,
    name: str,
    dtype: np.dtype[Any],
    results: Sequence[dict[str, Any]],
    codes: Sequence[IntArray] | None = None,
) -> Iterator[Array]:
    """Yield the files of all units as one, block by block, and remove them."""
    before = 0
    for number, result in enumerate(results):
        path = folder / f"{number:06}.{name}"
        with path.open("rb") as file:
            while block := file.read(BLOCK * dtype.itemsize):
                values = np.frombuffer(block, dtype)
                if name == "ends":
                    values = values + before
                yield values if codes is None else codes[number][values].astype(dtype)
        path.unlink()
        before += result["bytes"]
