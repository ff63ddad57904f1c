"""The metrics of a weights file: each says on which weights and which data it was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

WEIGHTS, DATA, DTYPE = "weights_sha256", "data_sha256", "measured_dtype"
"""Keys of an entry: digests, and the dtype of the weights where a file stores another one."""

UNKNOWN = ""
"""Digest of the weights of an entry that was made before entries had one."""


def stamped(
    metrics: Mapping[str, Mapping[str, Any]], weights: str, data: str, dtype: str
) -> dict[str, dict[str, Any]]:
    """Return metrics as a file of weights with this digest has them.

    Args:
        metrics: By split. Entries without a digest of weights were measured on these weights.
        weights: Digest of the tensors of the file.
        data: Digest of the data of the training, on which entries without one were measured.
        dtype: dtype of the weights on which entries with another digest were measured: the file
            has the same weights in another dtype.
    """
    bound = {}
    for split, entry in metrics.items():
        full = {WEIGHTS: weights, DATA: data, **_finite(entry)}
        if full[WEIGHTS] not in (weights, UNKNOWN):
            full = {DTYPE: dtype, **full}
        bound[split] = full
    return bound


def select(
    metrics: Mapping[str, Mapping[str, Any]], weights: str, *, unchanged: bool
) -> dict[str, dict[str, Any]]:
    """Return those of some metrics that were measured on these weights.

    Args:
        metrics: By split.
        weights: Digest of the weights.
        unchanged: Whether the weights are those of the file that the metrics are from. Entries
            without a digest, and those measured before the file was rounded, are of it then.
    """
    chosen = {}
    for split, entry in metrics.items():
        full = {WEIGHTS: UNKNOWN, **entry}
        if full[WEIGHTS] == weights or (unchanged and (full[WEIGHTS] == UNKNOWN or DTYPE in full)):
            chosen[split] = full
    return chosen


def foreign(header: Mapping[str, Any]) -> list[str]:
    """Return the splits whose metrics a header has of other weights than those of its file."""
    own = (header.get(WEIGHTS, UNKNOWN), UNKNOWN)
    return [
        split
        for split, entry in header["metrics"].items()
        if WEIGHTS in header and entry.get(WEIGHTS) not in own and DTYPE not in entry
    ]


def _finite(value: Any) -> Any:
    """Return JSON values with null in place of numbers that are not finite, which JSON lacks."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
