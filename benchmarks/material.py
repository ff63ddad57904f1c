"""What is measured on: the real data where it is, else generated data; and with which settings."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

from benchmarks.textbook import Labelled
from zoo import api
from zoo.errors import DataError
from zoo.options import to_json
from zoo.settings import resolve

ARCHIVE, BOOK = "aclImdb_labelled.tar.gz", "1268-0.txt"
# The textbook's network for reviews, and how it is trained there.
TEXTBOOK = "imdb-lstm-book"


@dataclass(frozen=True, slots=True)
class Material:
    """Reviews and a text.

    Args:
        reviews: A path for ``zoo train --data``.
        texts: Some of the training reviews, labelled.
        book: A path for ``zoo train --data``.
        real: Whether these are IMDb and the novel.
    """

    reviews: Path
    texts: list[Labelled]
    book: Path
    real: bool


def find(folder: Path, texts: int = 8000) -> Material:
    """Return the real data from ``ZOO_TEST_DATA`` (default ../shared/data), or make some."""
    given = Path(os.environ.get("ZOO_TEST_DATA") or "../shared/data")
    archive, book = given / ARCHIVE, given / BOOK
    if not archive.exists() or not book.exists():
        return _made(folder, texts)
    from zoo_sentiment.reviews import read

    found = [r for r in read(archive).reviews if r.part == "train"]
    random.Random(0).shuffle(found)
    return Material(archive, [(r.text, int(r.label == "pos")) for r in found[:texts]], book, True)


def _made(folder: Path, count: int) -> Material:
    """Make reviews of real lengths over 20,000 made-up words, and a text of them."""
    draw = random.Random(0)
    words = [
        "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9)))
        for _ in range(20_000)
    ]
    # Zipf's law, as words have it.
    weights = [1 / (rank + 1) for rank in range(len(words))]
    rows = []
    for number in range(count):
        length = min(1000, max(20, int(draw.lognormvariate(5.2, 0.6))))
        rows.append((" ".join(draw.choices(words, weights, k=length)), number % 2))
    table = folder / "reviews.tsv"
    lines = ["text\tlabel\n", *(f"{text}\t{label}\n" for text, label in rows)]
    table.write_text("".join(lines), encoding="utf-8")
    book = folder / "book.txt"
    text = " ".join(draw.choices(words[:3000], weights[:3000], k=200_000))
    book.write_text(text[:1_000_000], encoding="utf-8")
    if count < 2:
        raise DataError("too few reviews to measure on")
    return Material(table, rows, book, False)


def textbook_settings() -> dict[str, object]:
    """Return the settings of the textbook's network and training, for any model."""
    spec = resolve(TEXTBOOK, api.registry())
    sections = {
        "task": spec.network.task.options,
        "training": spec.training,
        "optimizer": spec.optimizer.options,
        "scheduler": spec.scheduler.options,
    }
    return {
        f"{section}.{name}": value
        for section, options in sections.items()
        for name, value in to_json(options).items()
    }
