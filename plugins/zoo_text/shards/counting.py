"""The parts of texts, and how often tokens occur: counted by processes in bounded memory."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.data import store
from zoo.data.ragged import IntArray
from zoo.errors import DataError
from zoo_text.shards.held_out import contains, digest, digests_of
from zoo_text.shards.processes import map_in_processes
from zoo_text.shards.table import ShardTable, Texts, mapped
from zoo_text.subwords import Types, characters, words
from zoo_text.tables.splits import is_word, normal_text
from zoo_text.tables.table import NO_PART, PARTS
from zoo_text.tokens import spaced

# Increase it when the counts or the layout of a cache entry change.
VERSION = 2
# Distinct tokens that are counted; beyond it the rarest are forgotten.
MAX_COUNTED = 1 << 20
# Texts of a part that is drawn, at most: more would say the same, and are in memory at the end of
# an evaluation.
MAX_HELD_OUT = 100_000
# The array of an entry with the digests of given validation and test texts.
_HELD_OUT = "held_out"
# Bytes of texts that a process reads at a time.
_BLOCK = 1 << 25
_SPLITS = {"words": lambda text: spaced(text).decode().split(), "subwords": words,
           "characters": characters}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counting:
    """What decides parts and counts.

    Args:
        tokens: ``words``, ``subwords`` or ``characters``.
        max_tokens: Tokens of a text that are counted, half from either end where ``truncation`` is
            ``head+tail``; 0: all. With words all are.
        truncation: As in :func:`zoo_text.truncation.truncate`.
        shares: Of the validation and the test part, where the data has none.
        seed: Of the parts that are drawn.
        in_order: Whether texts follow each other: then parts do, too.
        drop_duplicates: Whether training texts that are in a given validation or test part, too,
            are left out.
    """

    tokens: str
    max_tokens: int
    truncation: str
    shares: tuple[float, float]
    seed: int
    in_order: bool
    drop_duplicates: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """Parts and counts.

    Args:
        rows: (M,) rows of the table: those of training, validation and test, each in order.
        sizes: How many rows each part has.
        counts: How often each token occurs in training, commonest first.
        drawn: Whether validation and test were drawn.
        left_out: How many training texts are in another part, too, and therefore in none.
        folder: The entry of the cache; it has ``tokens.json`` and their units, but not with words.
    """

    rows: IntArray
    sizes: tuple[int, int, int]
    counts: Counter[str]
    drawn: tuple[bool, bool]
    left_out: int
    folder: Path

    def types(self) -> Types:
        """Return the distinct tokens of all parts, after one that stands for nothing."""
        return Types(mapped(self.folder, "units"), mapped(self.folder, "starts"))


@dataclass(frozen=True, slots=True)
class _Work:
    table: Path
    first: int
    after: int
    num_rows: int
    has: tuple[bool, bool]
    held_out: Path | None
    how: Counting


def count(table: ShardTable, how: Counting, processes: int | None = None) -> Counted:
    """Divide texts into parts, and count the tokens of the training part.

    A text without a part is in one by a hash of itself, so that texts that are equal but for case
    and spaces share a part, whatever their number. Parts that are drawn have 100,000 texts at most.

    Args:
        table: The texts.
        how: What decides it.
        processes: How many processes count; None: one for each processor.

    Raises:
        DataError: A part has no texts.
        DiskError: The cache cannot be written.
    """
    key = {"task": "shard-counts", "version": VERSION, "table": table.folder.name, "how": repr(how)}
    entry = store.cached(key, lambda folder: _build(folder, table, how, processes))
    found = json.loads((entry / "counts.json").read_text(encoding="utf-8"))
    counts = Counter(dict(zip(found["tokens"], found["counts"], strict=True)))
    return Counted(
        mapped(entry, "rows"), tuple(found["sizes"]), counts, tuple(found["drawn"]),
        found["left_out"], entry,
    )  # fmt: skip


def blocks_of(table: ShardTable) -> list[tuple[int, int]]:
    """Return rows in blocks of about 32 MiB of text."""
    size = int(table.ends[-1])
    edges = np.searchsorted(table.ends, np.arange(_BLOCK, size, _BLOCK)) + 1
    cuts = np.unique(np.concatenate(([0], np.minimum(edges, table.num_rows), [table.num_rows])))
    return list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))


def _build(folder: Path, table: ShardTable, how: Counting, processes: int | None) -> None:
    has = tuple(bool((table.parts == part).any()) for part in (1, 2))
    blocks = blocks_of(table)
    held_out = None
    if how.drop_duplicates and any(has):
        held_out = folder
        store.save(folder, _HELD_OUT, digests_of(table, blocks, processes))
    works = [
        _Work(table.folder, first, after, table.num_rows, (has[0], has[1]), held_out, how)
        for first, after in blocks
    ]
    trained, seen = Counter[str](), Counter[str]()
    sizes = [0, 0, 0]
    files = [(folder / f"{name}.rows").open("wb") for name in PARTS]
    try:
        for work, (part, ours, all_of_them) in zip(
            works, map_in_processes(_count_block, works, "counting tokens", processes), strict=True
        ):
            trained.update(ours)
            seen.update(all_of_them)
            trained, seen = bounded(trained), bounded(seen)
            for number, file in enumerate(files):
                rows = np.flatnonzero(part == number) + work.first
                file.write(rows.astype(np.int64).tobytes())
                sizes[number] += len(rows)
    finally:
        for file in files:
            file.close()

    def rows_of_parts() -> Iterator[IntArray]:
        for name in PARTS:
            path = folder / f"{name}.rows"
            with path.open("rb") as file:
                while block := file.read(1 << 23):
                    yield np.frombuffer(block, np.int64)
            path.unlink()

    needed = [0, 1, *([2] if how.shares[1] or has[1] else [])]
    for number in needed:
        if not sizes[number]:
            raise DataError(
                f"the {PARTS[number]} part has no texts",
                why=f"{sum(sizes):,} texts in all",
                fix="give more texts, or a larger --set validation_size=...",
            )
    store.save_parts(folder, "rows", rows_of_parts(), np.int64, sum(sizes))
    if how.tokens != "words":
        tokens = ["", *(token for token, _ in ranked(seen))]
        types = Types.of(tokens, how.tokens)
        store.save(folder, "units", types.units)
        store.save(folder, "starts", types.starts)
        (folder / "tokens.json").write_text(json.dumps(tokens), encoding="utf-8")
    pairs = ranked(trained)
    document = {
        "tokens": [token for token, _ in pairs],
        "counts": [number for _, number in pairs],
        "sizes": sizes,
        "drawn": [not there for there in has],
        "left_out": table.num_rows - sum(sizes),
    }
    (folder / "counts.json").write_text(json.dumps(document), encoding="utf-8")


def bounded(counts: Counter[str], largest: int | None = None) -> Counter[str]:
    """Return counts of at most so many tokens: of more, three quarters stay, the commonest."""
    largest = MAX_COUNTED if largest is None else largest
    if len(counts) <= largest:
        return counts
    return Counter(dict(ranked(counts)[: largest * 3 // 4]))


def ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    """Return tokens and counts, commonest first; equally common ones by name."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _count_block(work: _Work) -> tuple[IntArray, Counter[str], Counter[str]]:
    how = work.how
    parts = mapped(work.table, "parts")[work.first : work.after]
    texts = Texts(mapped(work.table, "texts"), mapped(work.table, "ends"))
    split = _SPLITS[how.tokens]
    largest = min(1.0, MAX_HELD_OUT / work.num_rows)
    test = 0.0 if work.has[1] else min(how.shares[1], largest)
    validation = 0.0 if work.has[0] else min(how.shares[0], largest / (1 - test))
    salt = how.seed.to_bytes(8, "little", signed=True)
    held_out = mapped(work.held_out, _HELD_OUT) if work.held_out else None
    found = np.empty(len(parts), np.int8)
    trained, seen = Counter[str](), Counter[str]()
    for number, given in enumerate(parts.tolist()):
        row = work.first + number
        text = texts[row]
        part = given
        if given in (NO_PART, 0):
            key = b"" if how.in_order and held_out is None else normal_text(text).encode()
            # The same word is no leak, as in a table.
            if held_out is not None and not is_word(text) and contains(held_out, digest(key)):
                found[number] = NO_PART
                continue
            place = (work.num_rows - row - 0.5) / work.num_rows
            if not how.in_order:
                drawn = hashlib.blake2b(key, digest_size=8, salt=salt).digest()
                place = int.from_bytes(drawn, "little") / 2**64
            # The test part is the end; the validation part is before it.
            left = (place - test) / (1 - test)
            part = 2 if place < test else 1 if left < validation else 0
        found[number] = part
        if part != 0 and how.tokens == "words":
            continue
        tokens = split(text)
        if how.tokens != "words":
            tokens = _truncated(tokens, how)
            seen.update(tokens)
        if part == 0:
            trained.update(tokens)
    return found, bounded(trained), bounded(seen)


def _truncated(tokens: list[str], how: Counting) -> list[str]:
    if not how.max_tokens or len(tokens) <= how.max_tokens:
        return tokens
    head = {"head": how.max_tokens, "tail": 0}.get(how.truncation, how.max_tokens // 2)
    return tokens[:head] + tokens[len(tokens) - (how.max_tokens - head) :]
