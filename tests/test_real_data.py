"""The published data sets: what is read from them, and what is learned of their words."""

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

from zoo.building import make_task
from zoo.catalog import Catalog
from zoo.registry import Registry
from zoo_sentiment.corpus import Corpus, load

pytestmark = pytest.mark.real_data

ARCHIVE = REAL_DATA / "aclImdb_labelled.tar.gz"
BOOK = REAL_DATA / "1268-0.txt"


def task(registry: Registry, name: str, **options: Any) -> Any:
    info = registry.task(name)
    defaults = {name: option.default for name, option in info.options.items()}
    return make_task(info, {**defaults, **options})


@pytest.fixture(scope="module")
def reviews() -> Corpus:
    return load(ARCHIVE, "text", "label")


def test_the_archive_holds_25_000_reviews_a_part_half_of_them_good(reviews: Corpus) -> None:
    good = np.array(reviews.labels)[reviews.label] == "pos"
    counts = Counter(zip(reviews.is_test.tolist(), good.tolist(), strict=True))
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
    # Of a part and label, the reviews stand in the order of their numbers.
    name, text = next(archived())
    part, label, file = Path(name).parts[-3:]
    number = int(file.partition("_")[0])
    of_kind = np.flatnonzero(
        (reviews.is_test == (part == "test")) & (reviews.label == reviews.labels.index(label))
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
    train, test = (set(reviews.film[reviews.is_test == part].tolist()) for part in (False, True))
    # As many as the archive's lists of addresses have; they share one, contrary to what is said.
    assert (len(train), len(test), len(train & test)) == (3456, 3581, 1)


def test_the_vocabulary_is_that_of_the_book_as_far_as_the_split_allows(registry: Registry) -> None:
    made = task(registry, "sentiment")
    data = made.prepare(ARCHIVE, 1)
    sizes = {name: split.examples for name, split in data.splits.items()}
    assert sizes == {"train": 20_000, "validation": 5_000, "test": 25_000, "all": 50_000}
    # The book's split has 69,023 words, and numbers these three so.
    assert len(made.words) == pytest.approx(69_023, rel=0.01)
    assert made.words[:2] == ["<pad>", "<unk>"]
    assert made.encode(["This is an"]).values.tolist() == [11, 7, 35]


def test_films_can_be_kept_together(registry: Registry, reviews: Corpus) -> None:
    data = task(registry, "sentiment", split="film").prepare(ARCHIVE, 1)
    film = dict(zip(reviews.starts.tolist(), reviews.film.tolist(), strict=True))
    train, validation = (
        {film[start] for start in data.splits[name].starts.tolist()}
        for name in ("train", "validation")
    )
    assert not train & validation
    assert data.splits["validation"].examples == pytest.approx(5_000, rel=0.02)


def test_the_book_is_cut_and_coded_as_published(registry: Registry) -> None:
    made = task(
        registry, "char-lm", start="THE MYSTERIOUS ISLAND", end="End of the Project Gutenberg"
    )
    data = made.prepare(BOOK, 1)
    codes = data.splits["all"].codes
    assert len(codes) == 1_112_350
    assert len(made.characters) == 80
    assert made.decode(codes[:21].tolist()) == "THE MYSTERIOUS ISLAND"
    whole = BOOK.read_text(encoding="utf-8-sig")
    first = whole.index("THE MYSTERIOUS ISLAND")
    text = whole[first : whole.index("End of the Project Gutenberg", first)]
    assert made.decode(codes.tolist()) == text
    assert data.splits["test"].examples + 1 == round(len(text) * 0.1)


def test_the_book_needs_no_markers(registry: Registry) -> None:
    made = task(registry, "char-lm")
    text = made.decode(made.prepare(BOOK, 1).splits["all"].codes.tolist())
    assert "*** START" not in text
    assert "*** END" not in text
    assert "THE MYSTERIOUS ISLAND" in text[:2000]


def test_the_book_is_the_file_that_the_catalog_names(catalog: Catalog) -> None:
    row = catalog.data["island"]
    content = BOOK.read_bytes()
    assert hashlib.sha256(content).hexdigest() == row.sha256
    assert len(content) == row.bytes
    assert all(text.encode() in content for text in row.contains)
