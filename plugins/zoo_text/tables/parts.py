"""Which text is in which part: as the data says, or drawn; texts that leak are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError
from zoo_text.options import TextOptions
from zoo_text.tables.labels import Kind
from zoo_text.tables.notes import plural
from zoo_text.tables.splits import (
    Ints,
    Parts,
    group_texts,
    is_word,
    keep_labels_in_training,
)
from zoo_text.tables.splits import draw as by_label
from zoo_text.tables.table import NO_PART, PARTS

_MIN_TEXTS = 10

Draw: TypeAlias = Callable[[Parts, Ints, Ints, tuple[float, float], int], tuple[Parts, Ints]]


@dataclass(slots=True)
class Drawn:
    """Parts of all texts, which of them are kept, in order, and what is said about it."""

    part: Parts
    kept: Ints
    note: str
    test_is_drawn: bool
    further: list[str] = field(default_factory=list)


def assign_parts(
    texts: Sequence[str],
    given: Sequence[int],
    targets: npt.NDArray[np.generic],
    kind: Kind,
    options: TextOptions,
    seed: int,
    trained: bool,
    where: str,
    draw: Draw = by_label,
) -> Drawn:
    """Return the part of each text.

    Args:
        texts: N texts.
        given: The part of each text that the data has, or ``NO_PART``.
        targets: Labels as in LabeledTexts.
        kind: Kind of labels.
        options: Sizes of the parts, and what happens to duplicates.
        seed: Of what is drawn.
        trained: Whether the data is for a trained task; then a few texts will do.
        where: The file, for messages.
        draw: Assigns rows that have no part, as :func:`zoo_text.tables.splits.draw` does.

    Raises:
        DataError: There are too few texts, or too few of a class, for three parts.
    """
    part = np.array(given, dtype=np.int8)
    groups = group_texts(texts)
    has_parts = {number for number in (1, 2) if (part == number).any()}
    # What the data has no part for is drawn from its training part.
    part[part == 0] = NO_PART
    free = part == NO_PART
    few = not has_parts and len(texts) < _MIN_TEXTS
    if not trained and (few or not free.any()):
        raise DataError(
            f"{len(texts)} texts are too few" if free.any() else "no texts in the training part",
            where=where, fix=f"give at least {_MIN_TEXTS} with labels; hundreds are better",
        )  # fmt: skip
    kept = np.ones(len(texts), dtype=np.bool_)
    further = _leaks(part, groups, texts, options.duplicates == "drop", kept)
    shares = (
        0.0 if 1 in has_parts else options.validation_size,
        0.0 if 2 in has_parts else options.test_size,
    )
    rows = np.flatnonzero(kept)
    drawn, order = draw(part[rows], groups[rows], _strata(targets, kind)[rows], shares, seed)
    part[rows] = drawn
    if kind == "multilabel":
        part[rows] = keep_labels_in_training(
            part[rows], free[rows], groups[rows], targets[rows].astype(np.bool_)
        )
    if not trained:
        needed = PARTS if shares[1] or 2 in has_parts else PARTS[:2]
        _check(part[rows], targets[rows], kind, has_parts, needed, where)
    in_training = part[rows] == 0
    if draw is not by_label:
        # The parts of by_label share no text.
        held_out = groups[rows][~in_training & free[rows]]
        if shared := int(np.isin(groups[rows][in_training], held_out).sum()):
            further.append(
                f"in a part that is drawn, too: {plural(shared, 'training text')} (kept)"
            )
    train = groups[rows][in_training]
    if repeated := len(train) - len(np.unique(train)):
        further.append(f"repeated within training: {plural(repeated, 'text')} (kept)")
    at_random = kind == "numbers" or draw is not by_label
    return Drawn(
        part, rows[order], _note(part[rows], at_random, has_parts), 2 not in has_parts, further
    )


def _strata(targets: npt.NDArray[np.generic], kind: Kind) -> Ints:
    """Return the class of each row, the rarest of its labels; nothing stratifies numbers."""
    if kind == "numbers":
        return np.zeros(len(targets), dtype=np.int64)
    if kind == "classes":
        classes: Ints = targets.astype(np.int64)
        return classes
    counts = targets.astype(np.int64).sum(axis=0)
    rarest = np.argsort(counts, kind="stable")
    strata: Ints = targets[:, rarest].argmax(axis=1).astype(np.int64)
    strata[~targets.astype(np.bool_).any(axis=1)] = targets.shape[1]
    return strata


def _leaks(
    part: Parts, groups: Ints, texts: Sequence[str], drop: bool, kept: npt.NDArray[np.bool_]
) -> list[str]:
    """Leave training texts out that are also in a given part; return what is said about it."""
    held_out = part > 0
    leaks = (part == NO_PART) & np.isin(groups, np.unique(groups[held_out]))
    shared: list[int] = np.flatnonzero(leaks).tolist()
    words = [n for n in shared if is_word(texts[n])]
    leaking = [n for n in shared if not is_word(texts[n])]
    said = []
    if leaking and drop:
        kept[leaking] = False
    if leaking:
        what = "left out; --keep-duplicates keeps them" if drop else "kept"
        said.append(f"in another part, too: {plural(len(leaking), 'training text')} ({what})")
    if words:
        what = f"{plural(len(words), 'training text')} of one word (kept)"
        said.append(f"in another part, too: {what}")
    both = np.intersect1d(groups[part == 1], groups[part == 2])
    if len(both):
        said.append(f"in both validation and test: {plural(len(both), 'text')}")
    return said


def _check(
    part: Parts,
    targets: npt.NDArray[np.generic],
    kind: Kind,
    has_parts: set[int],
    needed: Sequence[str],
    where: str,
) -> None:
    for number, name in enumerate(needed):
        mine = targets[part == number]
        few = kind == "classes" and len(np.unique(mine)) < 2 and number not in has_parts
        if not len(mine) or few:
            raise DataError(
                f"the {name} part has {'texts of one class alone' if len(mine) else 'no texts'}",
                where=where,
                why=f"it gets {len(mine)} of {len(part)} texts",
                fix="give more texts of each class (four or more), or the parts as files with "
                "--validation and --test",
            )


def _note(part: Parts, at_random: bool, has_parts: set[int]) -> str:
    sizes = ", ".join(f"{name} {int((part == n).sum()):,}" for n, name in enumerate(PARTS))
    drawn = [name for n, name in ((1, "validation"), (2, "test")) if n not in has_parts]
    if not drawn:
        return f"{sizes} (as the data has them)"
    what = "validation and test" if len(drawn) == 2 else drawn[0]
    how = "at random" if at_random else "by label"
    return f"{sizes} ({what} drawn {how})"
