"""What each piece of a text adds to an output of the linear model of n-grams: exact shares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from zoo_text.linear import NGramLinear, NGrams, NGramSizes
from zoo_text.ngrams import Located, locate_characters, locate_words
from zoo_text.spans import Pieces

DoubleArray = npt.NDArray[np.float64]


def linear_shares(
    linear: NGramLinear, sizes: NGramSizes, text: str, output: int, pieces: Pieces
) -> tuple[DoubleArray, float]:
    """Divide an output of a text among its pieces.

    What an n-gram adds is divided equally among its occurrences, and that of an occurrence equally
    among its words, or its characters that are in a piece.

    Args:
        linear: The model.
        sizes: Its n-grams.
        text: The text.
        output: Which of the K outputs.
        pieces: The P pieces of the text.

    Returns:
        (P,) what each adds, and what none does: the bias, and n-grams of white space and of the
        ends of a text.
    """
    values, rest = np.zeros(len(pieces.spans)), float(linear.bias[output])
    for longest, locate in ((sizes.words, locate_words), (sizes.characters, locate_characters)):
        if longest:
            found = locate(text, longest)
            units, outside = _unit_shares(linear, found, output, pieces)
            values += _by_piece(units, found, pieces)
            rest += outside
    return values, rest


def _unit_shares(
    linear: NGramLinear, found: Located, output: int, pieces: Pieces
) -> tuple[DoubleArray, float]:
    """Return what each unit (U,) adds, and what is of n-grams without a unit in a piece."""
    added = _occurrences(linear, found, output)
    inside = np.array([_is_inside(span, pieces) for span in found.spans.tolist()], bool)
    before = np.cumsum(np.append(0, inside))
    number = before[found.starts + found.sizes] - before[found.starts]
    each = added / np.maximum(number, 1)
    units = np.zeros(len(inside))
    for size in np.unique(found.sizes):
        starts, shares = found.starts[found.sizes == size], each[found.sizes == size]
        for offset in range(size):
            units += np.bincount(starts + offset, shares, len(units))
    units[~inside] = 0
    return units, float(added[number == 0].sum())


def _occurrences(linear: NGramLinear, found: Located, output: int) -> DoubleArray:
    """Return what each occurrence of an n-gram (N,) adds."""
    added = np.zeros(len(found.keys))
    keys, index, counts = np.unique(found.keys, return_inverse=True, return_counts=True)
    ngrams = NGrams(
        torch.from_numpy(keys).to(linear.keys.device),
        torch.from_numpy(counts).to(linear.keys.device),
        torch.zeros(len(keys), dtype=torch.int64, device=linear.keys.device),
    )
    _, columns, features = linear.features(ngrams, 1)
    if not len(columns):
        return added
    weights = (linear.weight[columns, output].double() * features.double()).cpu().numpy()
    known = np.isin(keys, linear.keys[columns].cpu().numpy())
    shares = np.zeros(len(keys))
    shares[known] = weights / counts[known]
    return shares[index]


def _is_inside(span: list[int], pieces: Pieces) -> bool:
    start, end = span
    return end > start and pieces.owner[start] >= 0


def _by_piece(units: DoubleArray, found: Located, pieces: Pieces) -> DoubleArray:
    """Add the shares of units up by piece, those of a unit in several equally by character."""
    lengths = found.spans[:, 1] - found.spans[:, 0]
    each = np.repeat(units / np.maximum(lengths, 1), lengths)
    first = np.repeat(found.spans[:, 0] - (np.cumsum(lengths) - lengths), lengths)
    owner = pieces.owner[first + np.arange(len(each))]
    values: DoubleArray = np.zeros(len(pieces.spans))
    np.add.at(values, owner[owner >= 0], each[owner >= 0])
    return values
