"""Texts as ids of words: normalised and encoded once, then mapped into memory."""

from __future__ import annotations

import hashlib
import json
import mmap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from zoo import files
from zoo.data import store
from zoo.data.ragged import IntArray
from zoo.errors import DataError
from zoo_lm.char_corpus import python_manual
from zoo_lm.documents import Documents, find_documents
from zoo_lm.options import WordOptions
from zoo_lm.words import END_OF_TEXT, SPECIALS
from zoo_text.lookup import Lookup
from zoo_text.tokens import spaced
from zoo_text.vocabulary import UNKNOWN, build_vocabulary

# Increase it when the encoding or the layout of a cache entry changes.
VERSION = 3
# Texts that are encoded at once.
_TEXTS = 4096
# Distinct words that are counted; beyond it, words that occurred once are forgotten.
_MAX_COUNTED = 4_000_000


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus in token ids.

    Args:
        words: The vocabulary, of V words; the index of a word is its token id.
        token_ids: (N,) all texts, each followed by ``<eos>``; training texts first, then those of
            validation and test.
        counts: (V,) how often each token occurs in the training texts.
        num_train: Tokens of the training texts.
        num_validation: Tokens of the validation texts; those of the test texts follow.
        num_texts: How many texts there are.
        digest: sha256 of the source.
    """

    words: list[str]
    token_ids: IntArray
    counts: IntArray
    num_train: int
    num_validation: int
    num_texts: int
    digest: str


def load(
    path: Path | None,
    options: WordOptions,
    seed: int,
    words: Sequence[str] | None,
    kept: Sequence[str] = SPECIALS,
) -> Corpus:
    """Return a corpus, encoding it if it is not in the cache.

    Texts that are independent of each other are put into an order that the seed draws, so that
    each split has texts from all over the source. Others stay in order.

    Args:
        path: The data; None for Python's own manual.
        options: The task's options.
        seed: Decides the order of independent texts.
        words: The vocabulary; None: it is built of the training texts.
        kept: Words that such a vocabulary begins with.

    Raises:
        DataError: A source is missing, damaged or without words.
        DiskError: The cache cannot be written.
    """
    paths = [path, *([Path(options.more_data).expanduser()] if options.more_data else [])]
    digests = [files.digest(p) if p else files.digest_text(python_manual()) for p in paths]
    sources = [find_documents(p, options.text_column) for p in paths]
    digest = digests[0]
    if len(digests) > 1:
        digest = hashlib.sha256("".join(f"{d}\n" for d in digests).encode()).hexdigest()
    known = files.digest_text("\n".join(kept if words is None else words))
    key = {
        "task": "word-lm",
        "version": VERSION,
        "digest": digest,
        "text_column": options.text_column,
        "forms": [source.form for source in sources],
        "seed": seed,
        "sizes": [options.validation_size, options.test_size],
        "vocabulary": [known, *([options.max_vocab, options.min_count] if words is None else [])],
    }
    where = str(path or "Python's manual")

    def build(folder: Path) -> None:
        _Builder(folder, sources, options, where).build(seed, words, kept)

    entry = store.cached(key, build)
    found = json.loads((entry / "corpus.json").read_text(encoding="utf-8"))
    token_ids, counts = store.load(entry, "token_ids"), store.load(entry, "counts")
    return Corpus(
        found["words"], token_ids, counts, found["num_train"], found["num_validation"],
        found["num_texts"], digest,
    )  # fmt: skip


class _Builder:
    """Fills a cache entry. The words of all texts are written to a file first.

    Args:
        folder: The folder of the entry.
        sources: The texts.
        options: The task's options.
        where: The source, for messages.
    """

    def __init__(
        self, folder: Path, sources: Sequence[Documents], options: WordOptions, where: str
    ) -> None:
        self._folder, self._options, self._where = folder, options, where
        self._sources = sources

    def build(self, seed: int, words: Sequence[str] | None, kept: Sequence[str]) -> None:
        """Write token ids, counts, vocabulary and sizes."""
        path = self._folder / "words.txt"
        starts, lengths = self._normalise(path)
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as texts:
                self._encode(texts, starts, lengths, seed, words, kept)
        finally:
            path.unlink()

    def _normalise(self, path: Path) -> tuple[IntArray, IntArray]:
        """Write the words of each text on a line; return where lines start, and their words."""
        starts, lengths, at = [], [], 0
        with path.open("wb") as file:
            for source in self._sources:
                for text in source.read():
                    line = b" ".join(spaced(text).split())
                    if line:
                        starts.append(at)
                        lengths.append(line.count(b" ") + 1)
                        at += file.write(line + b"\n")
        if not starts:
            forms = " and ".join(source.form for source in self._sources)
            raise DataError("no words", where=self._where, why=f"it was read as {forms}")
        return np.array([*starts, at]), np.array(lengths)

    def _encode(
        self,
        texts: mmap.mmap,
        starts: IntArray,
        lengths: IntArray,
        seed: int,
        words: Sequence[str] | None,
        kept: Sequence[str],
    ) -> None:
        options, number = self._options, len(lengths)
        order = np.arange(number)
        independent = all(source.independent for source in self._sources)
        if independent:
            order = np.random.default_rng(seed).permutation(number)
        ends = np.cumsum(lengths[order] + 1)
        total = int(ends[-1])
        known = total - round(total * options.test_size)
        num_train = known - round(total * options.validation_size)
        if independent and number > 2:  # No text is in two splits, and none is without any.
            first, second = (int(np.searchsorted(ends, n)) for n in (num_train, known))
            first = min(first, number - 3)
            second = min(max(second, first + 1), number - 2)
            num_train, known = int(ends[first]), int(ends[second])

        def lines(numbers: IntArray) -> Iterator[bytes]:
            return (texts[starts[n] : starts[n + 1] - 1] for n in numbers)

        if words is None:
            # Of a text that goes on in the validation split, its training words alone.
            last = int(np.searchsorted(ends, num_train))
            begun = num_train - (int(ends[last - 1]) if last else 0)
            part = b" ".join(next(lines(order[last : last + 1]), b"").split()[:begun])
            counted = _count(chain(lines(order[:last]), [part]))
            decoded = Counter({word.decode(): count for word, count in counted.items()})
            for word in kept:
                del decoded[word]
            words = build_vocabulary(decoded, options.min_count, options.max_vocab, kept)
        counts = np.zeros(len(words), np.int64)

        def parts() -> Iterator[IntArray]:
            lookup, at = Lookup(words, UNKNOWN), 0
            for begin in range(0, number, _TEXTS):
                rows = order[begin : begin + _TEXTS]
                values, found = lookup.token_ids(list(lines(rows)))
                token_ids = np.insert(values, np.cumsum(found), END_OF_TEXT)
                in_train = token_ids[: max(0, num_train - at)]
                counts[:] += np.bincount(in_train, minlength=len(words))
                at += len(token_ids)
                yield token_ids

        dtype = np.uint16 if len(words) <= 1 << 16 else np.int32
        store.save_parts(self._folder, "token_ids", parts(), dtype, total)
        store.save(self._folder, "counts", counts)
        document = {
            "words": list(words),
            "num_train": num_train,
            "num_validation": known - num_train,
            "num_texts": number,
        }
        (self._folder / "corpus.json").write_text(json.dumps(document), encoding="utf-8")


def _count(lines: Iterable[bytes]) -> Counter[bytes]:
    """Return how often each word occurs; of very many words, those that repeat."""
    counted: Counter[bytes] = Counter()
    for line in lines:
        counted.update(line.split())
        if len(counted) > _MAX_COUNTED:
            counted = Counter({word: count for word, count in counted.items() if count > 1})
    return counted
