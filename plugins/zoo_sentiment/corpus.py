"""Reviews as token ids: read and tokenized once, then mapped into memory."""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from zoo import files
from zoo.data import store
from zoo.data.ragged import IntArray
from zoo.errors import DataError
from zoo_sentiment.reviews import Reviews, check_sizes, read, sample_reviews
from zoo_text.tokens import tokenize

# Increase it when the tokenizer or the layout of a cache entry changes.
VERSION = 1


@dataclass(frozen=True, slots=True)
class Corpus:
    """All M reviews of a source, in token ids of the corpus.

    Args:
        words: Distinct words, in order of first appearance; the index of a word is its token id.
        labels: Distinct labels, sorted.
        values: (N,) token ids of all reviews, end to end.
        starts: (M,) where each review starts.
        lengths: (M,) how many words it has.
        label: (M,) index of its label.
        is_test: (M,) whether the source has it in a test split.
        film: (M,) index of its film; -1 where unknown.
        digest: sha256 of the source.
    """

    words: list[str]
    labels: list[str]
    values: IntArray
    starts: IntArray
    lengths: IntArray
    label: IntArray
    is_test: npt.NDArray[np.bool_]
    film: IntArray
    digest: str

    def review(self, row: int) -> IntArray:
        """Return the token ids of a review."""
        start = self.starts[row]
        return self.values[start : start + self.lengths[row]]

    def groups(self) -> npt.NDArray[np.int64]:
        """Return a number for each review (M,), the same for those with the same words."""
        known: dict[bytes, int] = {}
        reviews = (self.review(row).tobytes() for row in range(len(self.lengths)))
        numbers = (
            known.setdefault(blake2b(review, digest_size=16).digest(), len(known))
            for review in reviews
        )
        return np.fromiter(numbers, np.int64, len(self.lengths))


class CorpusTexts(Sequence[str]):
    """The reviews of a corpus as texts: their words, in lower case and without punctuation.

    Args:
        corpus: The corpus; a text is put together when it is asked for.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    def __len__(self) -> int:
        return len(self._corpus.lengths)

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        return " ".join(self._corpus.words[index] for index in self._corpus.review(row))


def load(path: Path | None) -> Corpus:
    """Return the corpus of the IMDb archive or its folder, or of the sample where there is no path.

    It is encoded if it is not in the cache.

    Raises:
        DataError: The source is missing, malformed, empty or has a single label.
        DiskError: The cache cannot be written.
    """
    if path is None:
        pairs = [(review.text, review.label) for review in sample_reviews().reviews]
        digest = files.digest_text(json.dumps(pairs))
    else:
        check_sizes(path)
        digest = files.digest(path)

    def build(folder: Path) -> None:
        _encode(read(path) if path else sample_reviews(), folder, str(path or "the sample"))

    key = {"task": "sentiment", "version": VERSION, "digest": digest}
    entry = store.cached(key, build)
    names = json.loads((entry / "names.json").read_text(encoding="utf-8"))
    parts = ("values", "starts", "lengths", "label", "is_test", "film")
    arrays = {part: store.load(entry, part) for part in parts}
    return Corpus(words=names["words"], labels=names["labels"], digest=digest, **arrays)


def _encode(source: Reviews, folder: Path, where: str) -> None:
    reviews = source.reviews
    labels = sorted({review.label for review in reviews})
    if len(labels) < 2:
        raise DataError(
            "one label only",
            where=where,
            why=f"all {len(reviews)} reviews are {labels[0]!r}",
            fix="give data with two labels or more",
        )
    values, lengths, words = encode(review.text for review in reviews)
    lengths_array = np.frombuffer(lengths, dtype=np.int32).astype(np.int64)
    store.save(folder, "values", np.frombuffer(values, dtype=np.int32))
    store.save(folder, "lengths", lengths_array)
    store.save(folder, "starts", np.cumsum(lengths_array) - lengths_array)
    at = {label: index for index, label in enumerate(labels)}
    store.save(folder, "label", np.array([at[review.label] for review in reviews]))
    store.save(folder, "is_test", np.array([review.part == "test" for review in reviews]))
    store.save(folder, "film", source.film_indices())
    document = {"words": words, "labels": labels}
    (folder / "names.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def encode(texts: Iterable[str]) -> tuple[array[int], array[int], list[str]]:
    """Return the token ids of all words, the length of each text, and the words by token id.

    Token ids are given by first appearance.
    """
    token_id: defaultdict[str, int] = defaultdict()
    token_id.default_factory = token_id.__len__
    values, lengths = array("i"), array("i")
    for text in texts:
        before = len(values)
        values.extend(map(token_id.__getitem__, tokenize(text)))
        lengths.append(len(values) - before)
    return values, lengths, list(token_id)
