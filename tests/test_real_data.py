"""The published data sets: what is read from them, and the vocabularies built of them."""

from __future__ import annotations

import hashlib
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REAL_DATA
from plain_sentiment import OPTIONS

from zoo.building import build_task
from zoo.records import DatasetInfo, TaskInfo
from zoo.registry import Registry
from zoo.spec import Component
from zoo_sentiment.corpus import Corpus, load

pytestmark = pytest.mark.real_data

ARCHIVE = REAL_DATA / "aclImdb_labelled.tar.gz"
BOOK = REAL_DATA / "1268-0.txt"


def task(registry: Registry, name: str, **options: Any) -> Any:
    info = registry.get(TaskInfo, name)
    return build_task(Component(info, info.options(**options)))


@pytest.fixture(scope="module")
def reviews() -> Corpus:
    return load(ARCHIVE)


def test_each_split_has_25_000_reviews_half_of_them_positive(
    reviews: Corpus,
) -> None:
    positive = np.array(reviews.labels)[reviews.label] == "pos"
    counts = Counter(zip(reviews.is_test.tolist(), positive.tolist(), strict=True))
    assert set(counts.values()) == {12_500}
    assert len(counts) == 4
    assert reviews.labels == ["neg", "pos"]


def archived() -> Iterator[tuple[str, str]]:
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            if member.name.endswith(".txt") and "urls" not in member.name:
                file = archive.extractfile(member)
                assert file is not None
                yield member.name, file.read().decode()
            if member.name.endswith("/pos/2000_7.txt"):
                return


def test_a_review_is_read_word_by_word(reviews: Corpus) -> None:
    # The reviews of a split and label are in the order of their numbers.
    name, text = next(archived())
    split, label, file = Path(name).parts[-3:]
    number = int(file.partition("_")[0])
    of_kind = np.flatnonzero(
        (reviews.is_test == (split == "test")) & (reviews.label == reviews.labels.index(label))
    )
    row = of_kind[number]
    start = reviews.starts[row]
    words = [reviews.words[i] for i in reviews.values[start : start + reviews.lengths[row]]]
    spaced = "".join(c if c.isalnum() else " " for c in text.replace("<br />", " ").lower())
    expected = Counter(spaced.split())
    shared = sum((expected & Counter(words)).values())
    assert shared > 0.97 * len(words) > 0
    assert shared > 0.97 * expected.total()


def test_every_review_has_a_film(reviews: Corpus) -> None:
    assert (reviews.film >= 0).all()
    train, test = (
        set(reviews.film[reviews.is_test == is_test].tolist()) for is_test in (False, True)
    )
    # As many as there are in the archive's lists of addresses. One film is in both splits, contrary
    # to the data set's description.
    assert (len(train), len(test), len(train & test)) == (3456, 3581, 1)


def test_the_vocabulary_is_nearly_that_of_the_book(registry: Registry) -> None:
    made = task(registry, "sentiment", **OPTIONS)
    data = made.prepare(ARCHIVE, 1)
    sizes = {name: split.num_examples for name, split in data.splits.items()}
    assert sizes == {"train": 20_000, "validation": 5_000, "test": 25_000, "all": 50_000}
    # The book's split has 69,023 words, and these three have these token ids.
    assert len(made.encoder.words) == pytest.approx(69_023, rel=0.01)
    assert made.encoder.words[:2] == ["<pad>", "<unk>"]
    assert made.encoder.encode(["This is an"])[0].values.tolist() == [11, 7, 35]


def test_reviews_of_a_film_can_be_in_one_split(registry: Registry, reviews: Corpus) -> None:
    data = task(registry, "sentiment", **OPTIONS, split="film").prepare(ARCHIVE, 1)
    film = dict(zip(reviews.starts.tolist(), reviews.film.tolist(), strict=True))
    train, validation = (
        {film[start] for start in data.splits[name].tokens.starts.tolist()}
        for name in ("train", "validation")
    )
    assert not train & validation
    assert data.splits["validation"].num_examples == pytest.approx(5_000, rel=0.02)


def test_the_text_is_encoded_as_published(registry: Registry) -> None:
    made = task(
        registry, "char-lm", start="THE MYSTERIOUS ISLAND", end="End of the Project Gutenberg"
    )
    data = made.prepare(BOOK, 1)
    token_ids = data.splits["all"].token_ids
    assert len(token_ids) == 1_112_350
    assert len(made.characters) == 80
    assert made.decode(token_ids[:21].tolist()) == "THE MYSTERIOUS ISLAND"
    whole = BOOK.read_text(encoding="utf-8-sig")
    first = whole.index("THE MYSTERIOUS ISLAND")
    text = whole[first : whole.index("End of the Project Gutenberg", first)]
    assert made.decode(token_ids.tolist()) == text
    assert data.splits["test"].num_examples + 1 == round(len(text) * 0.1)


def test_the_markers_of_project_gutenberg_are_found(registry: Registry) -> None:
    made = task(registry, "char-lm")
    text = made.decode(made.prepare(BOOK, 1).splits["all"].token_ids.tolist())
    assert "*** START" not in text
    assert "*** END" not in text
    assert "THE MYSTERIOUS ISLAND" in text[:2000]


def test_the_text_is_the_file_that_the_registry_names(registry: Registry) -> None:
    dataset = registry.get(DatasetInfo, "island")
    content = BOOK.read_bytes()
    assert hashlib.sha256(content).hexdigest() == dataset.sha256
    assert len(content) == dataset.bytes
    assert all(text.encode() in content for text in dataset.contains)
