"""Which file a task reads, and how: that of the training, or another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo.errors import DataError
from zoo_text.options import TextOptions
from zoo_text.tables import LabeledTexts

TRAIN, VALIDATION, TEST = 0, 1, 2

_TASKS = {
    "classes": "text-classification",
    "multilabel": "text-multilabel",
    "numbers": "text-regression",
}


Read = Callable[..., LabeledTexts]
"""Reads a table, as :func:`zoo_text.tables.load_table`."""


def read_training(
    read: Read,
    path: Path,
    options: TextOptions,
    seed: int,
    *,
    kind: str,
    asked_kind: str,
    digest: str,
) -> LabeledTexts:
    """Read the data of a training.

    Args:
        read: Reads a table.
        path: The file.
        options: How it is read.
        seed: Of the parts that are drawn.
        kind: What the task calls its labels.
        asked_kind: What the user says that they are; ``auto``: they are looked at.
        digest: sha256 of the file.

    Raises:
        DataError: It is missing, damaged, or its labels are of another kind.
    """
    source = read(path, options, seed, kind=asked_kind, digest_of_file=digest)
    check_kind(source.kind, kind, str(path), source.resolved["label_column"])
    return source


def check_kind(found: str, kind: str, where: str, column: str) -> None:
    """Check that labels are of the kind that a task predicts.

    Args:
        found: What they are.
        kind: What they should be.
        where: The data.
        column: Their column.

    Raises:
        DataError: They are not.
    """
    if found != kind:
        raise DataError(
            f"the labels are not {kind}",
            where=where,
            why=f"column {column!r} holds {found}",
            fix=f"use {_TASKS[found]}, or say what they are: --set labels={kind}",
        )


def read_again(
    read: Read,
    path: Path,
    options: TextOptions,
    seed: int,
    *,
    kind: str,
    names: list[str] | None,
    digest: str,
    is_source: bool,
) -> LabeledTexts:
    """Read data for a trained task.

    Args:
        read: Reads a table.
        path: The file.
        options: Those of the training.
        seed: That of the training.
        kind: What the task calls its labels.
        names: The labels of the training; None for numbers.
        digest: sha256 of the file.
        is_source: Whether it is the file of the training. Another one is perhaps of another form;
            unless it has parts, all of it is tested on.

    Raises:
        DataError: It is missing, damaged, or has a label that the training did not have.
    """
    if is_source:
        options = replace(
            options,
            validation_data=beside(path, options.validation_data),
            test_data=beside(path, options.test_data),
        )
        return read(path, options, seed, kind=kind, names=names, digest_of_file=digest)
    options = replace(
        options, validation_data="", test_data="", encoding="", delimiter="", quote="",
        header="auto",
    )  # fmt: skip
    source = read(
        path, options, seed, kind=kind, names=names, columns_may_differ=True,
        digest_of_file=digest,
    )  # fmt: skip
    if source.test_is_drawn:
        source = replace(
            source, part=np.full_like(source.part, TEST), notes=_without_parts(source.notes)
        )
    return source


def _without_parts(notes: Sequence[str]) -> tuple[str, ...]:
    """Return notes without those on the parts, which go on in lines that begin with spaces."""
    found, is_of_parts = [], False
    for line in notes:
        is_of_parts = line.startswith("parts") or (is_of_parts and line.startswith(" "))
        if not is_of_parts:
            found.append(line)
    return tuple(found)


def beside(data: Path, name: str) -> str:
    """Return the path of a further file; an exported model knows its name alone."""
    further = data.parent / name
    return str(further) if name and not Path(name).exists() and further.exists() else name
