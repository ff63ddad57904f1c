"""Further training texts from a file of their own, such as texts that a model has labelled."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo_text.options import TextOptions
from zoo_text.sources import beside
from zoo_text.tables import LabeledTexts, load_table
from zoo_text.tables.notes import aligned, plural
from zoo_text.tables.splits import group_texts


def find_more_data(name: str, data: Path | None, fit: bool, is_source: bool) -> Path | None:
    """Return the path of the further texts, or None where they are not read.

    Args:
        name: The option of the training; empty: there are none.
        data: The data that is read.
        fit: Whether the task learns from it. If not, the file may be missing: the other parts are
            the same without it.
        is_source: Whether it is the data of the training.
    """
    if not name or not is_source:
        return None
    if fit:
        return Path(name).expanduser()
    found = Path(beside(data, name) if data else name).expanduser()
    return found if found.exists() else None


def with_more_data(source: LabeledTexts, path: Path, *, drop: bool) -> LabeledTexts:
    """Return texts with those of another file in the training part, behind the others.

    Args:
        source: Texts in parts.
        path: A table whose labels are among those of ``source``.
        drop: Whether a text is left out that is in the validation or the test part, too.

    Raises:
        DataError: The file is missing, damaged, or has another label.
    """
    names = None if source.kind == "numbers" else source.names
    more = load_table(path, TextOptions(), 0, kind=source.kind, names=names)
    groups = group_texts([*source.texts, *more.texts])
    held_out = groups[: len(source.texts)][source.part != 0]
    is_held_out = np.isin(groups[len(source.texts) :], held_out)
    rows = np.flatnonzero(~is_held_out) if drop else np.arange(len(more.texts))
    digests = f"{source.digest} {more.digest}"
    told = f"{plural(len(rows), 'text')} of {path.name}, for training alone"
    if is_held_out.any():
        done = "left out" if drop else "kept"
        told += f"; also in validation or test ({done}): {plural(int(is_held_out.sum()), 'text')}"
    return replace(
        source,
        texts=[*source.texts, *(more.texts[row] for row in rows)],
        targets=np.concatenate((source.targets, more.targets[rows])),
        part=np.concatenate((source.part, np.zeros(len(rows), np.int8))),
        lines=[*source.lines, *(more.lines[row] for row in rows)],
        digest=hashlib.sha256(digests.encode()).hexdigest(),
        notes=(*source.notes, *aligned("more", told).splitlines()),
    )
