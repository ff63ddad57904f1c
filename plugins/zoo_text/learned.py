"""What a text task learned besides its tokens, read from a weights file. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from zoo_text.ngram_sizes import NGramSizes


class Scale(NamedTuple):
    """Mean and standard deviation of the numbers of the training."""

    mean: float
    deviation: float


def read_sizes(state: Mapping[str, Any]) -> tuple[NGramSizes | None, int | None]:
    """Return the sizes and the number of n-grams of the linear model; None where there is none.

    Raises:
        ValueError: They are not of the form that a task writes.
    """
    if "ngram_sizes" not in state:
        return None, None
    words, characters = state["ngram_sizes"]
    if not all(isinstance(n, int) and 0 <= n <= 8 for n in (words, characters)):
        raise ValueError("ngram_sizes are not two small numbers")
    return NGramSizes(words, characters), int(state["num_ngrams"])


def read_labels(state: Mapping[str, Any], *, several: bool) -> tuple[list[str], list[float]]:
    """Return the labels, and the share of the training texts that have each.

    Args:
        state: What the task stored.
        several: Whether a text may have several labels.

    Raises:
        ValueError: They are not of the form that a task writes.
    """
    labels = state["labels"]
    if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
        raise ValueError("labels is not a list of strings")
    shares = [float(share) for share in state.get("shares", [])]
    if several:
        fit = len(shares) == len(labels) and all(0 < share < 1 for share in shares)
    else:  # Files of before have none.
        fit = len(shares) in (0, len(labels)) and all(share > 0 for share in shares)
    if not fit:
        raise ValueError("shares are not those of the labels")
    return labels, shares


def read_scale(state: Mapping[str, Any]) -> Scale:
    """Return mean and deviation.

    Raises:
        ValueError: They are not those of numbers.
    """
    scale = Scale(float(state["mean"]), float(state["deviation"]))
    if not math.isfinite(scale.mean) or not 0 < scale.deviation < math.inf:
        raise ValueError("mean or deviation is not a number of the training")
    return scale


def scaling_in_words(mean: float, deviation: float) -> str:
    """Return how outputs become numbers: the numbers differ a little between machines."""
    return f"{deviation!r} * output + {mean!r}"
