"""Texts as token ids in mapped files, written by several processes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from zoo import files
from zoo.data import store
from zoo.data.mapped import Permutation
from zoo.data.ragged import Array, IntArray, Ragged
from zoo_text.lookup import Lookup
from zoo_text.shards.counting import Counted
from zoo_text.shards.processes import map_in_processes
from zoo_text.shards.table import BLOCK, ShardTable, Texts, mapped
from zoo_text.subwords import characters, words
from zoo_text.tokens import spaced
from zoo_text.truncation import truncate
from zoo_text.vocabulary import UNKNOWN

# Increase it when the encoding or the layout of a cache entry changes.
VERSION = 1
_ROWS = 1 << 15
_TEXTS = 1024


@dataclass(frozen=True, slots=True)
class Encoding:
    """How texts become token ids.

    Args:
        tokens: ``words``, ``subwords`` or ``characters``.
        max_tokens: Tokens of a text that are read; 0: all.
        truncation: As in :func:`zoo_text.truncation.truncate`.
        end_of_text: The token that follows each text, of which those without words are left out;
            -1: there is none.
        shuffle: Seed of the order of the texts of each part; None: they stay in order.
    """

    tokens: str
    max_tokens: int = 0
    truncation: str = "head"
    end_of_text: int = -1
    shuffle: int | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of texts, in the order of the rows of :class:`zoo_text.shards.counting.Counted`.

    Args:
        values: (N,) token ids.
        starts: (M,) where each text starts.
        lengths: (M,) tokens of each text.
        numbers: (M,) 0 to M - 1.
    """

    values: IntArray
    starts: IntArray
    lengths: IntArray
    numbers: IntArray


@dataclass(frozen=True, slots=True)
class _Work:
    folder: Path
    number: int
    table: Path
    counts: Path
    first: int
    after: int
    sizes: tuple[int, int, int]
    how: Encoding


def encode(
    table: ShardTable,
    counted: Counted,
    vocabulary: Sequence[str],
    how: Encoding,
    processes: int | None = None,
) -> Encoded:
    """Return token ids of all texts, encoding them if they are not in the cache.

    Args:
        table: The texts.
        counted: Their parts.
        vocabulary: The words, with tokens=words; otherwise token ids are those of
            :meth:`zoo_text.shards.counting.Counted.types`.
        how: How they are encoded.
        processes: How many processes encode; None: one for each processor.

    Raises:
        DiskError: The cache cannot be written.
    """
    key = {
        "task": "shard-tokens",
        "version": VERSION,
        "counts": counted.folder.name,
        "how": repr(how),
        "vocabulary": files.digest_text("\n".join(vocabulary)),
    }

    def build(folder: Path) -> None:
        _build(folder, table, counted, vocabulary, how, processes)

    entry = store.cached(key, build)
    return Encoded(*(mapped(entry, name) for name in ("values", "starts", "lengths", "numbers")))


def _build(
    folder: Path,
    table: ShardTable,
    counted: Counted,
    vocabulary: Sequence[str],
    how: Encoding,
    processes: int | None,
) -> None:
    named = folder / "vocabulary.json"
    named.write_text(json.dumps(list(vocabulary)), encoding="utf-8")
    rows = len(counted.rows)
    works = [
        _Work(folder, number, table.folder, counted.folder, first, min(first + _ROWS, rows),
              counted.sizes, how)
        for number, first in enumerate(range(0, rows, _ROWS))
    ]  # fmt: skip
    done = map_in_processes(_encode_block, works, "encoding texts", processes)
    total = sum(done)
    named.unlink()
    if how.tokens == "words":
        dtype = np.dtype(np.uint16 if len(vocabulary) <= 1 << 16 else np.int32)
    else:
        dtype = np.dtype(np.int32)
    store.save_parts(folder, "values", _joined(folder, "values", len(works)), dtype, total)
    store.save_parts(folder, "lengths", _joined(folder, "lengths", len(works)), np.int64, rows)
    store.save_parts(folder, "starts", _starts(mapped(folder, "lengths")), np.int64, rows)
    numbers = (np.arange(n, min(n + BLOCK, rows)) for n in range(0, rows, BLOCK))
    store.save_parts(folder, "numbers", numbers, np.int64, rows)


def _joined(folder: Path, name: str, number: int) -> Iterator[Array]:
    dtype = np.dtype(np.int32)
    for n in range(number):
        path = folder / f"{n:06}.{name}"
        with path.open("rb") as file:
            while block := file.read(BLOCK * dtype.itemsize):
                yield np.frombuffer(block, dtype)
        path.unlink()


def _starts(lengths: IntArray) -> Iterator[IntArray]:
    at = 0
    for first in range(0, len(lengths), BLOCK):
        ends = np.cumsum(lengths[first : first + BLOCK]) + at
        yield ends - lengths[first : first + BLOCK]
        at = int(ends[-1])


def _encode_block(work: _Work) -> int:
    """Write the token ids of some texts, and return how many there are."""
    rows = mapped(work.counts, "rows")[_order(work)]
    texts = Texts(mapped(work.table, "texts"), mapped(work.table, "ends"), rows)
    total = 0
    values_path, lengths_path = (
        work.folder / f"{work.number:06}.{name}" for name in ("values", "lengths")
    )
    with values_path.open("wb") as values_file, lengths_path.open("wb") as lengths_file:
        for first in range(0, len(rows), _TEXTS):
            found = _token_ids(texts[first : first + _TEXTS], work)
            lengths_file.write(found.lengths.astype(np.int32).tobytes())
            values_file.write(found.values.astype(np.int32).tobytes())
            total += len(found.values)
    return total


def _order(work: _Work) -> IntArray:
    """Return the places of the texts in the rows of all parts."""
    places = np.arange(work.first, work.after)
    if work.how.shuffle is None:
        return places
    begin = 0
    for part, size in enumerate(work.sizes):
        mine = (places >= begin) & (places < begin + size)
        if mine.any():
            order = Permutation(size, (work.how.shuffle, part))
            places[mine] = begin + order(places[mine] - begin)
        begin += size
    return places


def _token_ids(texts: Sequence[str], work: _Work) -> Ragged:
    how = work.how
    if how.tokens != "words":
        index = _index(work.counts / "tokens.json")
        split = words if how.tokens == "subwords" else characters
        rows = [[index.get(token, 0) for token in split(text)] for text in texts]
        whole = Ragged.of(rows, np.arange(len(rows)))
        return _compact(truncate(whole, how.max_tokens, how.truncation, 0))
    lookup = _lookup(work.folder / "vocabulary.json")
    values, lengths = lookup.token_ids([spaced(text) for text in texts])
    if how.end_of_text >= 0:
        filled = np.flatnonzero(lengths)
        values = np.insert(values, np.cumsum(lengths[filled]), how.end_of_text)
        lengths = np.where(lengths, lengths + 1, 0)
        return Ragged(values, np.cumsum(lengths) - lengths, lengths, np.arange(len(lengths)))
    whole = Ragged(values, np.cumsum(lengths) - lengths, lengths, np.arange(len(lengths)))
    return _compact(truncate(whole, how.max_tokens, how.truncation))


def _compact(rows: Ragged) -> Ragged:
    """Return rows without what is between them."""
    lengths = np.asarray(rows.lengths)
    starts = np.cumsum(lengths) - lengths
    index = np.repeat(rows.starts - starts, lengths) + np.arange(lengths.sum())
    return Ragged(rows.values[index], starts, lengths, rows.targets)


@lru_cache(maxsize=1)
def _lookup(path: Path) -> Lookup:
    return Lookup(json.loads(path.read_text(encoding="utf-8")), UNKNOWN)


@lru_cache(maxsize=1)
def _index(path: Path) -> dict[str, Any]:
    tokens = json.loads(path.read_text(encoding="utf-8"))
    return {token: number for number, token in enumerate(tokens)}
