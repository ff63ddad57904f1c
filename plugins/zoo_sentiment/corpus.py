"""Reviews as numbers: read and tokenised once, then mapped into memory."""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo import files
from zoo.data import store
from zoo.errors import DataError
from zoo_sentiment.reviews import Review, Reviews, read
from zoo_sentiment.sample import sample
from zoo_sentiment.tokens import tokenize

Array = npt.NDArray[Any]

# Raise it when the tokeniser or the layout of an entry changes.
VERSION = 1


@dataclass(frozen=True, slots=True)
class Corpus:
    """Every review of a source, in corpus-wide word numbers.

    Args:
        words: Distinct words, in order of first appearance.
        labels: Distinct labels, sorted.
        values: Word numbers of all reviews, end to end.
        starts: Where each review starts.
        lengths: How many words it has.
        label: Index of its label.
        is_test: Whether the source puts it into a test part.
        film: Number of its film; -1 where unknown.
        digest: sha256 of the source.
    """

    words: list[str]
    labels: list[str]
    values: Array
    starts: Array
    lengths: Array
    label: Array
    is_test: Array
    film: Array
    digest: str


def load(path: Path | None, text_column: str, label_column: str) -> Corpus:
    """Return the corpus of a source, encoding it if that was not done before.

    Raises:
        DataError: The source is missing, malformed, empty or has a single label.
        DiskError: The cache cannot be written.
    """
    if path is None:
        reviews = sample()
        digest = files.digest_text(json.dumps([(r.text, r.label) for r in reviews]))
    else:
        digest = files.digest(path)
        reviews = None

    def build(folder: Path) -> None:
        _encode(
            read(path, text_column, label_column) if path else Reviews(reviews or [], {}),
            folder,
            str(path or "the sample"),
        )

    recipe = {
        "task": "sentiment",
        "version": VERSION,
        "digest": digest,
        "columns": [text_column, label_column],
    }
    entry = store.cached(recipe, build)
    names = json.loads((entry / "names.json").read_text(encoding="utf-8"))
    parts = ("values", "starts", "lengths", "label", "is_test", "film")
    arrays = {part: store.load(entry, part) for part in parts}
    return Corpus(words=names["words"], labels=names["labels"], digest=digest, **arrays)


def _encode(source: Reviews, folder: Path, where: str) -> None:
    reviews = source.reviews
    labels = sorted({review.label for review in reviews})
    if not reviews:
        raise DataError("no reviews", where=where, why="the data is empty")
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
    store.save(folder, "film", _films(reviews, source))
    document = {"words": words, "labels": labels}
    (folder / "names.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def encode(texts: Iterable[str]) -> tuple[array[int], array[int], list[str]]:
    """Number the words of texts by first appearance: all numbers, lengths, and the words."""
    number: defaultdict[str, int] = defaultdict()
    number.default_factory = number.__len__
    values, lengths = array("i"), array("i")
    for text in texts:
        before = len(values)
        values.extend(map(number.__getitem__, tokenize(text)))
        lengths.append(len(values) - before)
    return values, lengths, list(number)


def _films(reviews: list[Review], source: Reviews) -> Array:
    number: defaultdict[str, int] = defaultdict()
    number.default_factory = number.__len__
    films = np.full(len(reviews), -1)
    for index, review in enumerate(reviews):
        listed = source.films.get((review.part, review.label), [])
        if review.number < len(listed):
            films[index] = number[listed[review.number]]
    return films
