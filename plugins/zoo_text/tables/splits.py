"""Training, validation and test parts that share no text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zoo_text.tables.table import NO_PART

Parts = npt.NDArray[np.int8]
Ints = npt.NDArray[np.int64]


def group_texts(texts: Sequence[str]) -> Ints:
    """Return a number for each text, the same for texts that differ in case and spaces alone."""
    numbers: dict[str | bytes, int] = {}
    groups = np.empty(len(texts), dtype=np.int64)
    for n, text in enumerate(texts):
        key: str | bytes = normal_text(text)
        if len(key) > 64:
            key = hashlib.blake2b(
                str(key).encode("utf-8", "surrogatepass"), digest_size=16
            ).digest()
        groups[n] = numbers.setdefault(key, len(numbers))
    return groups


def normal_text(text: str) -> str:
    """Return a text without differences of case and spaces."""
    return " ".join(text.casefold().split())


def is_word(text: str) -> bool:
    """Return whether a text is a single word, such as a name: the same word is no leak."""
    if len(text) > 30 or len(text.split()) != 1:
        return False
    # A sentence of Chinese, Japanese or Thai has no spaces.
    unspaced = sum(
        "\u0e00" <= c <= "\u0eff" or "\u2e80" <= c <= "\u9fff" or c > "\uf8ff" for c in text
    )
    return unspaced <= 4


def draw(
    part: Parts, groups: Ints, strata: Ints, shares: tuple[float, float], seed: int
) -> tuple[Parts, Ints]:
    """Assign rows without a part, stratified, so that rows of a group are together.

    Args:
        part: Part of each row, or ``NO_PART``, of shape (N,).
        groups: Number of the text of each row, of shape (N,).
        strata: Class of each row (the rarest of its labels; all 0 for numbers), of shape (N,).
        shares: Shares of the validation part (of what is not in the test part) and the test part.
            Zero: none is drawn.
        seed: Of the random order.

    Returns:
        The part of each row, and the order in which rows are kept, both of shape (N,).
    """
    part = part.copy()
    rng = np.random.default_rng(seed)
    for number, share in ((2, shares[1]), (1, shares[0])):
        rows = np.flatnonzero(part == NO_PART)
        if share and len(rows):
            part[_held_out(rows, groups, strata, share, rng)] = number
    part[part == NO_PART] = 0
    return part, np.arange(len(part))


def _held_out(
    rows: Ints, groups: Ints, strata: Ints, share: float, rng: np.random.Generator
) -> Ints:
    """Return rows of whole groups, about a share of each class, which keeps one group or more."""
    _, first, inverse, sizes = np.unique(
        groups[rows], return_index=True, return_inverse=True, return_counts=True
    )
    of_group = strata[rows[first]]
    classes, class_of_group = np.unique(of_group, return_inverse=True)
    totals = np.bincount(class_of_group, weights=sizes).astype(np.int64)
    quotas = _quotas(totals, share)
    order = rng.permutation(len(sizes))
    order = order[np.argsort(class_of_group[order], kind="stable")]
    ends = np.cumsum(np.bincount(class_of_group, minlength=len(classes)))
    chosen = np.zeros(len(sizes), dtype=np.bool_)
    for n, (end, quota) in enumerate(zip(ends, quotas, strict=True)):
        # The last group of a class stays.
        mine = order[(ends[n - 1] if n else 0) : end - 1]
        left = int(quota)
        for group in mine[: left * 20 + 100]:
            if sizes[group] <= left:
                chosen[group] = True
                left -= int(sizes[group])
            if not left:
                break
        if quota and left == quota and len(mine):  # Every group is larger than the quota.
            chosen[mine[sizes[mine].argmin()]] = True
    held_out: Ints = rows[chosen[inverse]]
    return held_out


def _quotas(totals: Ints, share: float) -> Ints:
    """Return how many rows each class gives, by largest remainder; a few classes give one each."""
    exact = totals * share
    quotas = np.floor(exact).astype(np.int64)
    missing = max(round(float(exact.sum())), 1) - int(quotas.sum())
    order = np.argsort(quotas - exact, kind="stable")
    quotas[order[:missing]] += 1
    if len(totals) <= 5:
        quotas = np.maximum(quotas, totals >= 3)
    most: Ints = np.minimum(quotas, np.maximum(totals - 1, 0))
    return most


def keep_labels_in_training(
    part: Parts, drawn: npt.NDArray[np.bool_], groups: Ints, targets: npt.NDArray[np.bool_]
) -> Parts:
    """Move texts into training until it has every label that two texts or more have.

    Args:
        part: Part of each row, of shape (N,).
        drawn: Which rows may move, of shape (N,).
        groups: Number of the text of each row, of shape (N,).
        targets: Which labels each row has, of shape (N, K).
    """
    part = part.copy()
    has = targets[part == 0].any(axis=0)
    for label in np.flatnonzero(~has & (targets.sum(axis=0) > 1)):
        rows = np.flatnonzero(targets[:, label] & drawn)
        if len(rows) and not targets[part == 0, label].any():
            part[(groups == groups[rows[0]]) & drawn] = 0
    return part
