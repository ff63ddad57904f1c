"""The columns of a part of a shard, copied into files: the work of one process."""

from __future__ import annotations

import hashlib
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import DataError, NetworkError
from zoo_text.shards.formats import Rows, Unit
from zoo_text.shards.layout import Layout
from zoo_text.shards.reading import read
from zoo_text.tables.labels import MAX_CLASSES, WRITE_NUMBERS
from zoo_text.tables.table import NO_PART, PART_NAMES, as_text

# Distinct labels of a text, of which several may be together.
MOST_LABEL_SETS = 100 * MAX_CLASSES
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Work:
    """A part of a shard, and where its columns go.

    Args:
        folder: The folder of the files ``NUMBER.texts``, ``.ends``, ``.parts`` and ``.targets``.
        number: Of the part, among those of all shards.
        unit: The part.
        layout: How it is read.
        part: The part that its rows are in, or ``NO_PART``.
    """

    folder: Path
    number: int
    unit: Unit
    layout: Layout
    part: int


def copy_unit(work: Work) -> dict[str, Any]:
    """Copy the columns of a unit into files; a server that fails is asked again."""
    for attempt in range(1, _ATTEMPTS):
        try:
            return _copy(work)
        except NetworkError:
            time.sleep(attempt)
    return _copy(work)


def _copy(work: Work) -> dict[str, Any]:
    layout, unit = work.layout, work.unit
    layout.check(unit.shard)
    number = layout.coding is not None and layout.coding.kind == "numbers"
    sets: dict[tuple[str, ...], int] = {}
    total, rows, size = hashlib.sha256(), 0, 0
    left_out = [0, 0]
    names = ("texts", "ends", "parts", "targets")
    files = {name: (work.folder / f"{work.number:06}.{name}").open("wb") for name in names}
    try:
        for batch in read(unit, layout.form, layout.used()):
            ends, parts, targets = array("q"), array("b"), array("d" if number else "i")
            content = []
            for text, part, labels in _examples(batch, work, left_out):
                coded = text.encode()
                content.append(coded)
                size += len(coded)
                ends.append(size)
                parts.append(part)
                if number:
                    targets.append(labels)
                elif layout.coding is not None:
                    targets.append(sets.setdefault(labels, len(sets)))
            rows += len(ends)
            if len(sets) > MOST_LABEL_SETS:
                sets.clear()
                raise DataError(
                    f"more than {MOST_LABEL_SETS:,} different labels", where=unit.shard.url,
                    fix="choose another column with --set label_column=...",
                )  # fmt: skip
            values = (b"".join(content), ends.tobytes(), parts.tobytes(), targets.tobytes())
            for name, block in zip(names, values, strict=True):
                files[name].write(block)
                total.update(block)
    finally:
        for file in files.values():
            file.close()
    total.update(repr(list(sets)).encode())
    return {
        "rows": rows, "bytes": size, "label_sets": list(sets), "left_out": left_out,
        "digest": total.hexdigest(),
    }  # fmt: skip


def _examples(batch: Rows, work: Work, left_out: list[int]) -> Iterator[tuple[str, int, Any]]:
    """Yield text, part and label of each row that has them; count the others."""
    columns, coding = work.layout.columns, work.layout.coding
    texts = [as_text(cell) for cell in batch[columns.text]]
    cells = batch[columns.label] if coding else [None] * len(texts)
    said = batch[columns.part] if columns.part else [None] * len(texts)
    for text, cell, name in zip(texts, cells, said, strict=True):
        part = work.part
        if columns.part:
            part = PART_NAMES.get(as_text(name).strip().lower(), 0)
        labels: Any = None
        if coding is not None:
            try:
                labels = coding.number(cell) if coding.kind == "numbers" else coding.labels(cell)
            except ValueError as error:
                raise DataError(
                    f"label {as_text(cell)[:40]!r} is no number",
                    where=f"{work.unit.shard.url}, column {columns.label[:40]!r}",
                    fix=WRITE_NUMBERS,
                ) from error
            if labels is None:
                left_out[0] += 1
                continue
            if not text.strip() and part in (NO_PART, 0):
                left_out[1] += 1
                continue
            labels = labels if coding.kind == "numbers" else tuple(labels)
        yield text, part, labels
