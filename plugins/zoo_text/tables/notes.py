"""What is said about the data: a few aligned lines of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from zoo_text.tables.labels import Kind

_WIDTH = 80
_NAME = 24


def aligned(name: str, text: str) -> str:
    """Return a line, or several, whose text begins in the tenth column."""
    indent = " " * 9
    lines = textwrap.fill(
        text, _WIDTH, initial_indent=f"{name:<9}", subsequent_indent=indent, break_on_hyphens=False
    )
    # Lines are not broken at these spaces.
    return lines.replace("\xa0", " ")


def plural(count: int, noun: str, plural: str = "") -> str:
    """Return for instance ``1 text`` or ``2,000 texts``."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def listed(items: Sequence[str]) -> str:
    """Return for instance ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def files_and_counts(where: Sequence[str]) -> str:
    """Return names of files, and how many texts are from each.

    >>> files_and_counts(["a/train.csv", "a/train.csv", "a/test.csv"])
    'train.csv and test.csv: 2 and 1 texts'
    """
    counts = Counter(where)
    names = listed([Path(file).name for file in counts])
    return f"{names}: {listed([f'{count:,}' for count in counts.values()])} texts"


def cut(name: str, width: int = _NAME) -> str:
    """Return a name on one line, cut to a width."""
    name = " ".join(name.split())
    return name if len(name) <= width else f"{name[: width - 1]}…"


def text_line(column: str, texts: Sequence[str]) -> str:
    """Return column, mean and extremes of the lengths of texts."""
    lengths = [len(text) for text in texts] or [0]
    return aligned(
        "text",
        f"column {cut(column)!r}, {round(sum(lengths) / len(lengths)):,} characters on average "
        f"({min(lengths):,} to {max(lengths):,})",
    )


def label_lines(
    column: str,
    kind: Kind,
    targets: npt.NDArray[np.generic],
    names: Sequence[str],
    in_training: npt.NDArray[np.bool_],
) -> list[str]:
    """Return lines on the labels: shares of the classes, or mean and extremes of numbers.

    Args:
        column: Where they are.
        kind: What they are.
        targets: The labels, as in LabeledTexts.
        names: Their names.
        in_training: Which texts are in the training part, of shape (N,).
    """
    head = f"column {cut(column)!r}: "
    if kind == "numbers":
        values = targets.astype(np.float64)
        low, mean, high = values.min(), values.mean(), values.max()
        return [aligned("label", f"{head}numbers, {mean:.4g} on average ({low:.4g} to {high:.4g})")]
    counts = _count(targets, kind, len(names))
    present = np.flatnonzero(counts).tolist()
    if kind == "classes":
        head += f"{plural(len(present), 'class', 'classes')}: "
    else:
        head += f"several labels a text, {len(present):,} in all: "
    largest = sorted(present, key=lambda n: -int(counts[n]))
    shown = present if len(present) <= 8 else [*largest[:5], largest[-1]]
    shares = [f"{cut(names[n])} {100 * counts[n] / len(targets):.1f} %" for n in shown]
    shares = [share.replace(" ", "\xa0") for share in shares]
    if len(present) > 8:
        shares[-1] = f"... {shares[-1]}"
    lines = [aligned("label", head + ", ".join(shares))]
    trained = _count(targets[in_training], kind, len(names))
    alike = Counter(name.casefold() for name in names)
    for what, which in (
        ("of a single text", [n for n in present if counts[n] == 1]),
        ("without a training text", [n for n in present if not trained[n]]),
        ("that differ in case alone", [n for n in present if alike[names[n].casefold()] > 1]),
    ):
        if which:
            some = ", ".join(cut(names[n]) for n in which[:5]) + (" ..." if len(which) > 5 else "")
            lines.append(aligned("", f"{plural(len(which), 'label')} {what}: {some}"))
    return lines


def _count(targets: npt.NDArray[np.generic], kind: Kind, labels: int) -> npt.NDArray[np.int64]:
    """Return how many texts have each label, of shape (K,)."""
    if kind == "classes":
        return np.bincount(targets.astype(np.int64), minlength=labels).astype(np.int64)
    counts: npt.NDArray[np.int64] = targets.astype(np.int64).sum(axis=0)
    return counts
