"""The labels of shards as numbers, in the order of the rows of their parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from zoo import files
from zoo.data import store
from zoo.data.ragged import Array, IntArray
from zoo.errors import DataError
from zoo_text.shards.counting import Counted
from zoo_text.shards.table import BLOCK, ShardTable, mapped
from zoo_text.tables.labels import Kind, check_count, natural_order
from zoo_text.tables.notes import cut

# Increase it when the layout of a cache entry changes.
VERSION = 1


def label_names(
    table: ShardTable, kind: Kind, column: str, where: str, known: Sequence[str] | None
) -> list[str]:
    """Return the labels in natural order; those of a trained task as they are.

    Raises:
        DataError: They are too few or too many, or one is not among the known ones.
    """
    if kind == "numbers":
        return []
    sizes = np.zeros(len(table.label_sets), np.int64)
    for first in range(0, table.num_rows, BLOCK):
        sizes += np.bincount(table.targets[first : first + BLOCK], minlength=len(sizes))
    counts = Counter[str]()
    for labels, size in zip(table.label_sets, sizes.tolist(), strict=True):
        counts.update(dict.fromkeys(labels, size))
    if known is None:
        check_count(counts, table.num_rows, kind, where, column)
        return natural_order(counts)
    if unknown := sorted(set(counts) - set(known)):
        raise DataError(
            f"the training did not have the label {cut(unknown[0], 40)!r}", where=where,
            why=f"it had {', '.join(repr(cut(name)) for name in list(known)[:8])}",
        )  # fmt: skip
    return list(known)


def label_targets(table: ShardTable, counted: Counted, kind: Kind, names: Sequence[str]) -> Array:
    """Return targets: (M,) classes or numbers, or (M, K) float32 of several labels.

    Raises:
        DiskError: The cache cannot be written.
    """
    key = {
        "task": "shard-targets",
        "version": VERSION,
        "counts": counted.folder.name,
        "kind": kind,
        "names": files.digest_text("\n".join(names)),
    }
    codes = _codes(table.label_sets, kind, names)
    dtype = {"classes": np.int64, "numbers": np.float64, "multilabel": np.float32}[kind]
    width = len(names) if kind == "multilabel" else 1

    def parts() -> Iterator[Array]:
        step = max(1, BLOCK // width)
        for first in range(0, len(counted.rows), step):
            values = table.targets[counted.rows[first : first + step]]
            yield (values if kind == "numbers" else codes[values]).ravel()

    def build(folder: Path) -> None:
        store.save_parts(folder, "targets", parts(), dtype, len(counted.rows) * width)

    found = mapped(store.cached(key, build), "targets")
    return found.reshape(-1, width) if kind == "multilabel" else found


def _codes(sets: Sequence[tuple[str, ...]], kind: Kind, names: Sequence[str]) -> IntArray:
    """Return the class of each set of labels (S,), or which labels it has (S, K)."""
    number = {name: n for n, name in enumerate(names)}
    if kind == "classes":
        return np.array([number[labels[0]] for labels in sets], np.int64)
    codes = np.zeros((len(sets), len(names)), np.int64)
    for n, labels in enumerate(sets):
        codes[n, [number[name] for name in labels]] = 1
    return codes
