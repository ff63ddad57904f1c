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
from zoo_text.tables import LabeledTexts

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
    if options.validation_data or options.test_data:
        raise DataError(
            "the IMDb reviews have a test split of their own", where=str(path or "the sample"),
            fix="leave --validation and --test out",
        )  # fmt: skip
    reviews = (sample_reviews() if path is None else read(path, "text", "label")).reviews
    names = sorted({review.label for review in reviews})
    part = np.array([_PARTS[review.part] for review in reviews], np.int8)
    train = np.flatnonzero(part == _PARTS["train"])
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).numpy()
    held_out = round(len(train) * options.validation_size)
    part[train[order[len(train) - held_out :]]] = _PARTS["validation"]
    for name, number in _PARTS.items():
        if len({review.label for review, p in zip(reviews, part, strict=True) if p == number}) < 2:
            raise DataError(
                f"{name} split has fewer than two labels", where=str(path or "the sample"),
                fix="give the archive as it was published",
            )  # fmt: skip
    pairs = [(review.text, review.label) for review in reviews]
    return LabeledTexts(
        texts=[text for text, _ in pairs],
        kind="classes",
        names=names,
        targets=np.array([names.index(label) for _, label in pairs]),
        part=part,
        lines=[review.number for review in reviews],
        digest=digest or files.digest_text(json.dumps(pairs)),
        notes=(),
        resolved={},
    )
