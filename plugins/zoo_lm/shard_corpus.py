"""Shards as the token ids of a language model: encoded once, then mapped into memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.data import store
from zoo.data.ragged import Array, IntArray
from zoo.data.shards import Shards
from zoo.data.text import CODE_POINTS, code_points, token_id_table
from zoo.errors import DataError
from zoo_lm.char_corpus import Text
from zoo_lm.options import WordOptions
from zoo_lm.word_corpus import Corpus
from zoo_lm.words import END_OF_TEXT
from zoo_text.options import TextOptions
from zoo_text.shards.counting import Counting, blocks_of, count
from zoo_text.shards.encoding import Encoded, Encoding, encode
from zoo_text.shards.layout import look
from zoo_text.shards.processes import map_in_processes
from zoo_text.shards.table import BLOCK, ShardTable, Texts, load, mapped
from zoo_text.vocabulary import build_vocabulary

# Increase it when the encoding or the layout of a cache entry changes.
VERSION = 1


def load_words(
    shards: Shards,
    options: WordOptions,
    seed: int,
    words: Sequence[str] | None,
    kept: Sequence[str],
) -> Corpus:
    """Return shards in ids of words.

    Texts of tables are in an order that the seed draws, and in a part by a hash of their own; those
    of plain text stay in order, and so do the parts.

    Args:
        shards: The files.
        options: The task's options.
        seed: Decides the order of texts.
        words: The vocabulary; None: it is built of the training texts.
        kept: Words that such a vocabulary begins with.

    Raises:
        DataError: A shard is missing, damaged or has no texts.
        NetworkError: A server does not answer.
        DiskError: The cache cannot be written.
    """
    if options.more_data:
        raise DataError(
            "shards take no more_data", where=shards.pattern, fix="put it among the shards"
        )
    layout = look(shards, TextOptions(text_column=options.text_column), "")
    table = load(shards, layout)
    shares = options.validation_size / (1 - options.test_size), options.test_size
    how = Counting("words", 0, "head", shares, seed, layout.in_order)
    counted = count(table, how)
    if words is None:
        counts = Counter(counted.counts)
        for word in kept:
            del counts[word]
        words = build_vocabulary(counts, options.min_count, options.max_vocab, kept)
    encoding = Encoding("words", end_of_text=END_OF_TEXT, shuffle=None if layout.in_order else seed)
    found = encode(table, counted, words, encoding)
    num_train, num_validation = _sizes(found, counted.sizes)
    occurrences = np.zeros(len(words), np.int64)
    for first in range(0, num_train, BLOCK):
        block = found.values[first : min(first + BLOCK, num_train)]
        occurrences += np.bincount(block, minlength=len(words))
    return Corpus(
        list(words), found.values, occurrences, num_train, num_validation, table.num_rows,
        table.digest,
    )  # fmt: skip


def _sizes(found: Encoded, texts: tuple[int, int, int]) -> tuple[int, int]:
    """Return how many tokens the training and the validation part have."""
    ends = [int(found.starts[n]) if n < len(found.starts) else len(found.values)
            for n in (texts[0], texts[0] + texts[1])]  # fmt: skip
    return ends[0], ends[1] - ends[0]


@dataclass(frozen=True, slots=True)
class _Block:
    table: Path
    first: int
    after: int
    separator: str
    characters: str = ""
    folder: Path = Path()

    def text(self) -> str:
        """Return the texts, each followed by the separator."""
        texts = Texts(mapped(self.table, "texts"), mapped(self.table, "ends"))
        return "".join(f"{text}{self.separator}" for text in texts[self.first : self.after])


def load_characters(shards: Shards) -> Text:
    """Return shards in ids of characters: all texts in order, each followed by a line end.

    Args:
        shards: The files.

    Raises:
        DataError: A shard is missing, damaged or has no texts.
        NetworkError: A server does not answer.
        DiskError: The cache cannot be written.
    """
    layout = look(shards, TextOptions(), "")
    table = load(shards, layout)
    separator = "\n\n" if layout.form.paragraphs else "\n"
    key = {"task": "shard-characters", "version": VERSION, "table": table.folder.name,
           "separator": separator}  # fmt: skip
    entry = store.cached(key, lambda folder: _build_characters(folder, table, separator))
    characters = json.loads((entry / "characters.json").read_text(encoding="utf-8"))
    return Text(characters, mapped(entry, "token_ids"), table.digest)


def _build_characters(folder: Path, table: ShardTable, separator: str) -> None:
    blocks = [
        _Block(table.folder, first, after, separator) for first, after in blocks_of(table)
    ]  # fmt: skip
    seen, total = np.zeros(CODE_POINTS, np.bool_), 0
    for present, length in map_in_processes(_alphabet, blocks, "reading characters"):
        seen[present] = True
        total += length
    characters = "".join(map(chr, np.flatnonzero(seen)))
    token_id_table(characters)  # Too many characters are told before they are encoded.
    works = [
        _Block(table.folder, first, after, separator, characters, folder / f"{n:06}.ids")
        for n, (first, after) in enumerate(blocks_of(table))
    ]
    done = map_in_processes(_encode, works, "encoding characters")

    def parts() -> Iterator[Array]:
        for path in done:
            yield np.fromfile(path, np.uint16)
            path.unlink()

    dtype = np.uint8 if len(characters) <= 256 else np.uint16
    store.save_parts(folder, "token_ids", parts(), dtype, total)
    (folder / "characters.json").write_text(json.dumps(characters), encoding="utf-8")


def _alphabet(block: _Block) -> tuple[IntArray, int]:
    points = code_points(block.text())
    return np.unique(points), len(points)


def _encode(block: _Block) -> Path:
    points = code_points(block.text())
    token_id_table(block.characters)[points].tofile(block.folder)
    return block.folder
