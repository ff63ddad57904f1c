"""Further training texts from a file of their own, such as texts that a model has labelled."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from zoo.errors import DataError
from zoo_text.options import TextOptions
from zoo_text.sources import TRAIN, beside
from zoo_text.tables import LabeledTexts, load_table
from zoo_text.tables.notes import aligned, plural
from zoo_text.tables.splits import Ints, Parts, draw, group_texts


def find_more_data(name: str, data: Path | None) -> Path:
    """Return the path of the file; an exported model knows its name alone."""
    return Path(beside(data, name) if data else name).expanduser()


def joined_digest(data: str, more: str) -> str:
    """Return a digest of the data and of the further texts, by theirs."""
    return hashlib.sha256(f"{data} {more}".encode()).hexdigest()


def with_more_data(
    source: LabeledTexts, path: Path, options: TextOptions, digest: str
) -> LabeledTexts:
    """Return texts with those of another file in the training part, behind the others.

    Rows of the file that are in a validation or a test part there are left out; and, with
    ``duplicates=drop``, texts that are in one here.

    Args:
        source: Texts in parts.
        path: A table whose labels are among those of ``source``.
        options: Which columns are read, if the file has them; and ``duplicates``.
        digest: sha256 of the file.

    Raises:
        DataError: The file is missing, damaged, or has another label.
    """
    reading = TextOptions(text_column=options.text_column, label_column=options.label_column)
    more = load_table(
        path, reading, 0, kind=source.kind, names=source.names, columns_may_differ=True,
        digest_of_file=digest, draw=_draw_none,
    )  # fmt: skip
    groups = group_texts([*source.texts, *more.texts])
    is_held_out = np.isin(
        groups[len(source.texts) :], groups[: len(source.texts)][source.part != 0]
    )
    in_training = more.part == TRAIN
    drop = options.duplicates == "drop"
    rows = np.flatnonzero(in_training & ~is_held_out if drop else in_training)
    told = [f"{plural(len(rows), 'text')} of {path.name}, for training alone"]
    if not in_training.all():
        told.append(f"{plural(int((~in_training).sum()), 'text')} of its other parts left out")
    if shared := int((is_held_out & in_training).sum()):
        what = "left out" if drop else "kept"
        told.append(f"also in validation or test ({what}): {plural(shared, 'text')}")
    return replace(
        source,
        texts=[*source.texts, *(more.texts[row] for row in rows)],
        targets=np.concatenate((source.targets, more.targets[rows])),
        part=np.concatenate((source.part, np.full(len(rows), TRAIN, source.part.dtype))),
        lines=[*source.lines, *(more.lines[row] for row in rows)],
        digest=joined_digest(source.digest, more.digest),
        notes=(
            *source.notes, *aligned("more", "; ".join(told)).splitlines(), *_remarks(more.notes)
        ),
    )  # fmt: skip


def _draw_none(
    part: Parts, groups: Ints, strata: Ints, shares: tuple[float, float], seed: int
) -> tuple[Parts, Ints]:
    """Leave all rows in training that the file has in no other part."""
    return draw(part, groups, strata, (0.0, 0.0), seed)


def _remarks(notes: Sequence[str]) -> Iterator[str]:
    """Yield the lines on rows that were left out, and on what was assumed."""
    is_remark = False
    for line in notes:
        if not line.startswith(" "):
            is_remark = line.startswith(("left out", "note"))
        if is_remark:
            yield line


def refuse_without(name: str) -> NoReturn:
    """Raise the error of what is fitted to the training texts, where some are missing.

    Raises:
        DataError: Always.
    """
    raise DataError(
        f"the training texts of {name} are missing, or have changed",
        why="the linear model that answers validation texts is fitted to them again",
        fix="put the file beside the data, or evaluate the test part",
    )
