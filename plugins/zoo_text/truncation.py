"""Which words of a long text are read."""

from __future__ import annotations

import numpy as np

from zoo.data.ragged import IntArray, Ragged
from zoo_text.vocabulary import UNKNOWN


def truncate(texts: Ragged, max_tokens: int, truncation: str, unknown: int = UNKNOWN) -> Ragged:
    """Return texts of at most ``max_tokens`` tokens; an empty text becomes one unknown token.

    Args:
        texts: Token ids.
        max_tokens: 0: all words are read.
        truncation: ``head``, ``tail``, or ``head+tail``: half of the tokens from either end.
        unknown: The id of the unknown token.
    """
    values, starts, lengths = texts.values, texts.starts, texts.lengths
    if not max_tokens and lengths.min() > 0:
        return texts
    if truncation == "head" and lengths.min() > 0:
        return Ragged(values, starts, np.minimum(lengths, max_tokens), texts.targets)
    rows = [
        _truncate_row(values[start : start + length], max_tokens, truncation, unknown)
        for start, length in zip(starts, lengths, strict=True)
    ]
    return Ragged.of(rows, texts.targets)


def _truncate_row(token_ids: IntArray, max_tokens: int, truncation: str, unknown: int) -> IntArray:
    if not len(token_ids):
        return np.array([unknown], dtype=np.int32)
    if not max_tokens or len(token_ids) <= max_tokens:
        return token_ids
    if truncation == "head":
        return token_ids[:max_tokens]
    if truncation == "tail":
        return token_ids[-max_tokens:]
    head = max_tokens // 2
    return np.concatenate([token_ids[:head], token_ids[len(token_ids) - (max_tokens - head) :]])
