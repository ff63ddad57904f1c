"""Labels: their names, in order, and as numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError
from zoo_text.tables.table import as_text

Kind: TypeAlias = Literal["classes", "multilabel", "numbers"]
KINDS: tuple[Kind, ...] = ("classes", "multilabel", "numbers")
MAX_CLASSES = 1000
MISSING = frozenset({"", "nan", "null", "n/a", "#n/a", "<na>"})
MISSING_NUMBER = MISSING | {"na", "none", "-", "--", "?", "."}
WRITE_NUMBERS = (
    "write numbers such as 1234.5, without units and thousands separators, or use "
    "text-classification"
)
"""What to do about a label that should be a number."""

_DIGITS = re.compile(r"(\d+)")
# More different labels than this are classes only if they are no numbers.
_MAX_NUMBERED = 20
# A number with a currency or another unit, or with separators of thousands.
_WRITTEN_NUMBER = re.compile(
    r"([$€£¥₹₽₩₺] ?)?[-+]?(\d+|\d{1,3}([,.' \u00a0\u202f]\d{3})+)([.,]\d+)?"
    r"( ?[$€£¥₹₽₩₺%‰°]| (?P<unit>[^\W\d]{1,4}))?"
)
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


def label_name(cell: object) -> str:
    """Return how a cell of any type is written as a label: ``true``, ``3``, ``0.5``."""
    if isinstance(cell, str):
        return as_text(cell).strip()
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return (
            str(int(cell))
            if cell.is_integer() and abs(cell) < 1e15
            else ""
            if cell != cell
            else repr(cell)
        )
    return "" if cell is None else str(cell)


def natural_order(names: Iterable[str]) -> list[str]:
    """Return names in the order that a person expects: 2 before 10, -1 before 0."""
    distinct = set(names)
    if all(is_number(name, False) for name in distinct):
        return sorted(distinct, key=lambda name: (float(name), name))
    return sorted(distinct, key=_natural)


def encode(
    labels: Sequence[list[str]],
    kind: Kind,
    names: Sequence[str],
    unknown: Callable[[int, str], DataError],
) -> npt.NDArray[np.generic]:
    """Return labels as numbers.

    Args:
        labels: Those of each text.
        kind: ``classes`` or ``multilabel``.
        names: All labels, in order.
        unknown: Makes the error for a text and its label that is not among them.

    Returns:
        Of shape (N,), index of each class; or (N, K), whether a text has each label.

    Raises:
        DataError: A label is not among the names.
    """
    number = {name: n for n, name in enumerate(names)}
    for n, those in enumerate(labels):
        for name in those:
            if name not in number:
                raise unknown(n, name)
    if kind == "classes":
        return np.array([number[those[0]] for those in labels], dtype=np.int64)
    targets = np.zeros((len(labels), len(names)), dtype=np.bool_)
    for n, those in enumerate(labels):
        targets[n, [number[name] for name in those]] = True
    return targets


def check_count(counts: Counter[str], texts: int, kind: Kind, where: str, column: str) -> None:
    """Check that labels are neither too few nor too many.

    Raises:
        DataError: There are fewer than two, more than 1,000, or half as many as texts.
    """
    if len(counts) < 2 and (kind == "classes" or not counts):
        only = next(iter(counts), "")
        raise DataError(
            f"fewer than two classes in column {column[:40]!r}", where=where,
            why=f"all labels are {only[:40]!r}" if counts else "it has no labels",
            fix="give texts of at least two, or choose another column with --set label_column=...",
        )  # fmt: skip
    if len(counts) > MAX_CLASSES or (kind == "classes" and texts >= 20 and len(counts) * 2 > texts):
        numeric = all(is_number(name, False) for name in counts)
        raise DataError(
            f"{len(counts):,} different labels of {texts:,} texts in column {column[:40]!r}",
            where=where,
            why=f"up to {MAX_CLASSES:,}, and at most half as many as texts, can be learned",
            fix="predict numbers with text-regression" if numeric
            else "choose another column with --set label_column=..., or merge rare labels",
        )  # fmt: skip


def check_no_numbers(cells: Sequence[object], where: str, column: str) -> None:
    """Refuse many classes that are numbers, but for a few cells or for how they are written.

    Whole numbers without units may be codes of classes, among which another one is no mistake.

    Raises:
        DataError: Nine tenths are numbers, some of them with decimals; or nine tenths of the others
            are numbers with one unit or separators of thousands.
    """
    names = [name for name in map(label_name, cells) if name.lower() not in MISSING_NUMBER]
    if len(set(names)) <= _MAX_NUMBERED:
        return
    others = [name for name in names if not is_number(name)]
    decimals = sum(is_number(name) and not name.lstrip("+-").isdecimal() for name in names)
    fix = "--set labels=classes if they are classes"
    if 0 < len(others) <= 0.1 * len(names) and decimals > 0.1 * len(names):
        raise DataError(
            f"{len(names) - len(others):,} of {len(names):,} labels in column {column[:40]!r} are "
            "numbers",
            where=where, why=f"{others[0][:40]!r} is none", fix=f"correct the others, or {fix}",
        )  # fmt: skip
    written = [found for name in others if (found := _WRITTEN_NUMBER.fullmatch(name))]
    units = {found["unit"] for found in written}
    if len(others) > 0.1 * len(names) and len(written) >= 0.9 * len(others) and len(units) == 1:
        raise DataError(
            f"labels in column {column[:40]!r} look like numbers", where=where,
            why=f"such as {others[0][:40]!r}",
            fix=f"write them without units and thousands separators, or {fix}",
        )  # fmt: skip


def is_number(text: str, comma: bool = True) -> bool:
    """Return whether a text is a finite number, perhaps with a decimal comma."""
    if comma and _DECIMAL_COMMA.fullmatch(text):
        return True
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    pieces = [piece for piece in _DIGITS.split(name.casefold()) if piece]
    # Digits compare by their number and then one by one, however many there are.
    keys = [
        (1, len(piece.lstrip("0")), piece.lstrip("0")) if piece.isdecimal() else (2, 0, piece)
        for piece in pieces
    ]
    return keys, name
