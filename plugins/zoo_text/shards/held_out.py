"""Digests of the texts of given validation and test parts, to find training texts among them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from zoo_text.shards.processes import map_in_processes
from zoo_text.shards.table import ShardTable, Texts, mapped
from zoo_text.tables.splits import normal_text

Digests = npt.NDArray[np.uint64]


def digest(text: bytes) -> np.uint64:
    """Return the digest of a text, as :func:`zoo_text.tables.splits.normal_text` returns it."""
    content = hashlib.blake2b(text, digest_size=8).digest()
    return np.uint64(int.from_bytes(content, "little"))


def digests_of(
    table: ShardTable, blocks: Sequence[tuple[int, int]], processes: int | None
) -> Digests:
    """Return the digests of all texts whose part is validation or test, sorted, each once.

    Args:
        table: The texts.
        blocks: Rows from the first to the last, each of which a process reads at a time.
        processes: As for :func:`zoo_text.shards.processes.map_in_processes`.
    """
    tasks = [(table.folder, first, after) for first, after in blocks]
    found = map_in_processes(_digests_of_block, tasks, "reading validation and test", processes)
    return np.unique(np.concatenate([np.empty(0, np.uint64), *found]))


def contains(digests: Digests, one: np.uint64) -> bool:
    """Return whether a digest is among sorted ones."""
    place = int(np.searchsorted(digests, one))
    return place < len(digests) and bool(digests[place] == one)


def _digests_of_block(block: tuple[Path, int, int]) -> Digests:
    folder, first, after = block
    parts = mapped(folder, "parts")[first:after]
    texts = Texts(mapped(folder, "texts"), mapped(folder, "ends"))
    rows = np.flatnonzero((parts == 1) | (parts == 2)) + first
    normal = (normal_text(texts[row]).encode() for row in rows.tolist())
    return np.fromiter(map(digest, normal), np.uint64, len(rows))
