"""Which texts are in which split."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from zoo.data.ragged import IntArray
from zoo.errors import DataError
from zoo_sentiment.corpus import Corpus
from zoo_sentiment.options import SentimentOptions
from zoo_text.tables.splits import Ints, Parts
from zoo_text.tables.table import NO_PART


def split_rows(corpus: Corpus, options: SentimentOptions, seed: int) -> dict[str, IntArray]:
    """Return the row numbers of the splits ``train``, ``validation`` and ``test``.

    The random split is that of ``torch.utils.data.random_split``. A test part that the source
    has stays the test split.

    Raises:
        DataError: Reviews are to be split by film, and films are not known.
    """
    generator = torch.Generator().manual_seed(seed)
    film = corpus.film if options.split == "film" else None
    rest: IntArray = np.flatnonzero(~corpus.is_test)
    test: IntArray = np.flatnonzero(corpus.is_test)
    if not len(test):
        rest, test = hold_out(rest, options.test_size, generator, film)
    train, validation = hold_out(rest, options.validation_size, generator, film)
    return {"train": train, "validation": validation, "test": test}


def draw_at_random(
    part: Parts, groups: Ints, strata: Ints, shares: tuple[float, float], seed: int
) -> tuple[Parts, Ints]:
    """Assign rows of a table as :func:`split_rows` does; for the rest see ``tables.splits.draw``.

    Neither labels nor repeated texts count, and rows are in random order, as in results that were
    published.
    """
    del groups, strata
    part = part.copy()
    generator = torch.Generator().manual_seed(seed)
    rest: IntArray = np.flatnonzero(part == NO_PART)
    order: list[IntArray] = [np.flatnonzero(part >= 0)]
    for number, share in ((2, shares[1]), (1, shares[0])):
        if share:
            rest, held_out = hold_out(rest, share, generator)
            part[held_out] = number
            order.append(held_out)
    part[rest] = 0
    return part, np.concatenate([*order, rest]).astype(np.int64)


def check_labels(corpus: Corpus, splits: Mapping[str, IntArray]) -> None:
    """Check that every split has at least two labels, so that it can be trained on and scored.

    Raises:
        DataError: One has not.
    """
    for name, rows in splits.items():
        if len(np.unique(corpus.label[rows])) < 2:
            raise DataError(
                f"{name} split has fewer than two labels",
                why=f"it has {len(rows)} of {len(corpus.label)} reviews",
                fix="give more data, or change task.validation_size or task.test_size",
            )


def hold_out(
    rows: IntArray, share: float, generator: torch.Generator, film: IntArray | None = None
) -> tuple[IntArray, IntArray]:
    """Return the rows that stay and a share that is held out.

    Args:
        rows: Row numbers.
        share: Share of them that is held out.
        generator: Of the random order.
        film: (M,) index of the film of each review, -1 where it is unknown: all reviews of a film
            are on one side. None: any review is on either side.

    Raises:
        DataError: A film is unknown.
    """
    if film is None:
        order = torch.randperm(len(rows), generator=generator).numpy()
        count = len(rows) - round(len(rows) * share)
        return rows[order[:count]], rows[order[count:]]
    if (film[rows] < 0).any():
        raise DataError("films are not known", fix="use --set split=random")
    films = np.unique(film[rows])
    order = torch.randperm(len(films), generator=generator).numpy()
    sizes = np.bincount(film[rows], minlength=films.max() + 1)[films[order]]
    held_out = films[order][np.cumsum(sizes) <= round(len(rows) * share)]
    is_held_out = np.isin(film[rows], held_out)
    return rows[~is_held_out], rows[is_held_out]
