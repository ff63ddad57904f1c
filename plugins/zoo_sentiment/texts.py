"""Reviews as labelled texts, for tokens other than words of a vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from zoo import files
from zoo.errors import DataError
from zoo_sentiment.options import SentimentOptions
from zoo_sentiment.reviews import read, sample_reviews
from zoo_sentiment.splits import hold_out
from zoo_text.tables import LabeledTexts
from zoo_text.tables.notes import aligned, plural
from zoo_text.tables.splits import Ints, Parts, group_texts

_PARTS = {"train": 0, "validation": 1, "test": 2}


def read_texts(
    path: Path | None, options: SentimentOptions, seed: int, digest: str
) -> LabeledTexts:
    """Read the IMDb archive, its folder or the sample; a share of training is for validation.

    Args:
        path: The archive or its folder; None for the sample.
        options: How they are split.
        seed: Of the validation part.
        digest: sha256 of the file; empty for the sample.

    Raises:
        DataError: It is damaged, or a split has fewer than two labels.
    """
    source = sample_reviews() if path is None else read(path)
    reviews = source.reviews
    names = sorted({review.label for review in reviews})
    part = np.array([_PARTS[review.part] for review in reviews], np.int8)
    generator = torch.Generator().manual_seed(seed)
    film = source.film_indices() if options.split == "film" else None
    train = np.flatnonzero(part == _PARTS["train"])
    _, held_out = hold_out(train, options.validation_size, generator, film)
    part[held_out] = _PARTS["validation"]
    for name, number in _PARTS.items():
        if len({review.label for review, p in zip(reviews, part, strict=True) if p == number}) < 2:
            raise DataError(
                f"{name} split has fewer than two labels", where=str(path or "the sample"),
                fix="give the archive as it was published",
            )  # fmt: skip
    groups = group_texts([review.text for review in reviews])
    pairs = [(review.text, review.label) for review in reviews]
    return LabeledTexts(
        texts=[text for text, _ in pairs],
        kind="classes",
        names=names,
        targets=np.array([names.index(label) for _, label in pairs]),
        part=part,
        lines=[review.number for review in reviews],
        digest=digest or files.digest_text(json.dumps(pairs)),
        notes=repeated_notes(groups, part),
        resolved={},
    )


def repeated_notes(groups: Ints, part: Parts) -> tuple[str, ...]:
    """Return lines on training texts that are also in another split.

    Args:
        groups: A number for each text, the same for the same text, of shape (M,).
        part: 0 train, 1 validation, 2 test, of shape (M,).
    """
    counts = {
        name: int(np.isin(groups[part == 0], groups[part == number]).sum())
        for name, number in _PARTS.items()
        if number
    }
    found = " and ".join(
        f"{plural(count, 'training text')} in {name}" for name, count in counts.items() if count
    )
    if not found:
        return ()
    why = "kept, so that results compare with those that were published"
    return tuple(aligned("note", f"repeated: {found}, too ({why})").splitlines())
