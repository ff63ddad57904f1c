"""N-grams of words and of characters, hashed to 64 bits: the features of the linear model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

_WORD = re.compile(r"\w+|[^\w\s]")
# Multiplier of the rolling hash: odd, 2^64 / golden ratio (D. Knuth, The Art of Computer
# Programming 3, section 6.4). Overflow is the modulus.
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_START, _END = "\x02", "\x03"


def hash_text(text: str) -> int:
    """Return 64 bits of a digest of a string, as a signed integer."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each n-gram occurs in each of M texts.

    Args:
        keys: (N,) hashes of n-grams; distinct within a text, sorted by text.
        counts: (N,) occurrences.
        texts: (N,) the text of each.
        num_texts: M.
    """

    keys: IntArray
    counts: IntArray
    texts: IntArray
    num_texts: int


def word_ngrams(texts: Sequence[str], longest: int) -> Counts:
    """Count the n-grams of 1 to ``longest`` words, in lower case; a punctuation mark is a word."""
    known: dict[str, int] = {}
    rows: list[list[int]] = []
    for text in texts:
        words = _WORD.findall(text.lower())
        for word in words:
            if word not in known:
                known[word] = hash_text(word)
        rows.append([known[word] for word in words])
    return _count(_concatenate(rows), np.array([len(row) for row in rows], np.int64), longest)


def character_ngrams(texts: Sequence[str], longest: int) -> Counts:
    """Count the n-grams of 1 to ``longest`` characters, in lower case, over word boundaries.

    White space is one space; start and end of the text are characters of their own.
    """
    marked = [f"{_START}{' '.join(text.lower().split())}{_END}" for text in texts]
    codes = np.frombuffer("".join(marked).encode("utf-32-le", "surrogatepass"), np.uint32)
    return _count(
        codes.astype(np.int64), np.fromiter(map(len, marked), np.int64, len(marked)), longest
    )


def _concatenate(rows: list[list[int]]) -> IntArray:
    return np.array([value for row in rows for value in row], np.int64)


def _count(units: IntArray, lengths: IntArray, longest: int) -> Counts:
    """Count the n-grams of the units of M texts.

    Args:
        units: (N,) words or characters, as integers; text after text.
        lengths: (M,) how many each text has.
        longest: Units of the longest n-gram.
    """
    text = np.repeat(np.arange(len(lengths)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(units))
    values = units.astype(np.uint64)
    keys, texts = [], []
    rolling = np.zeros(len(units), np.uint64)
    for size in range(1, longest + 1):
        rolling = rolling[: len(units) - size + 1]
        rolling = (rolling ^ (values[size - 1 :] + np.uint64(size))) * _FACTOR
        rolling ^= rolling >> np.uint64(29)
        whole = left[: len(rolling)] >= size
        keys.append(rolling[whole].view(np.int64))
        texts.append(text[: len(rolling)][whole])
        if len(rolling) == 0:
            break
    return _distinct(np.concatenate(keys), np.concatenate(texts), len(lengths))


def _distinct(keys: IntArray, texts: IntArray, num_texts: int) -> Counts:
    order = _order(keys, texts, num_texts)
    keys, texts = keys[order], texts[order]
    first = np.ones(len(keys), bool)
    first[1:] = (keys[1:] != keys[:-1]) | (texts[1:] != texts[:-1])
    at = np.flatnonzero(first)
    counts = np.diff(at, append=len(keys))
    return Counts(keys[at], counts, texts[at], num_texts)


def _order(keys: IntArray, texts: IntArray, num_texts: int) -> IntArray:
    """Return the order by text and key.

    One number of both is sorted, which takes a third of the time: the text, and as many of the
    highest bits of the key as there is room for.
    """
    bits = num_texts.bit_length()
    both = (texts << (63 - bits)) | ((keys >> (bits + 1)) + (1 << (62 - bits)))
    order: IntArray = np.argsort(both)
    ranked, found = both[order], keys[order]
    if ((ranked[1:] == ranked[:-1]) & (found[1:] != found[:-1])).any():  # Next to never.
        order = np.lexsort((keys, texts))
    return order
