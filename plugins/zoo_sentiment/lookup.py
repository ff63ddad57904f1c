"""Words to numbers, of thousands of texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# A word of up to 16 bytes is two numbers, its bytes, so that NumPy compares thousands at once.
_HALF, _WHOLE = 8, 16
# The first n bytes of a half.
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(_HALF + 1)], dtype=np.uint64)
# Odd numbers to multiply by: multiplicative hashing (D. Knuth, The Art of Computer Programming 3,
# section 6.4). The first is 2^64 / golden ratio.
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], dtype=np.uint64)


class Lookup:
    """The numbers of a vocabulary's words: a hash table with open addressing.

    The keys are the words themselves, so that no other word is ever taken for one.

    Args:
        words: The vocabulary; a word's index is its number.
        unknown: The number of every other word.
    """

    def __init__(self, words: Sequence[str], unknown: int) -> None:
        self._unknown = unknown
        coded = [word.encode() for word in words]
        lengths = np.fromiter(map(len, coded), np.int64, len(coded))
        keys = _keys(b"".join(coded), np.cumsum(lengths) - lengths, lengths)
        # And one more, which is no word's, for places that are free: they hold -1.
        self._low, self._high = (np.append(half, _MASKS[-1]) for half in keys)
        # Room for four words a word, at least, so that few are in another's place.
        self._bits = len(words).bit_length() + 2
        self._places = np.full(1 << self._bits, -1)
        # A zero byte would look like the end of a shorter word; no text has one in a word.
        short = [i for i, w in enumerate(coded) if len(w) <= _WHOLE and 0 not in w]
        self._long = {w: i for i, w in enumerate(coded) if len(w) > _WHOLE}
        # Of several words for one place the last one here gets it: the commonest.
        waiting = np.array(short[::-1], dtype=np.int64)
        at = self._hash(self._low[waiting], self._high[waiting])
        while len(waiting):
            free = self._places[at] < 0
            self._places[at[free]] = waiting[free]
            away = self._places[at] != waiting
            waiting, at = waiting[away], self._next(at[away])

    def numbers(self, texts: Sequence[bytes]) -> tuple[Array, Array]:
        """Return the numbers of all words (N,), end to end, and how many each text has (M,).

        Args:
            texts: M texts, each as :func:`zoo_sentiment.tokens.spaced` returns it.
        """
        joined = b"\n".join((b"", *texts, b""))
        space = np.frombuffer(joined, np.uint8) <= ord(" ")
        edges = np.flatnonzero(space[1:] != space[:-1]) + 1
        starts, ends = edges[::2], edges[1::2]
        lengths = ends - starts
        found = self._find(*_keys(joined, starts, lengths))
        for word in np.flatnonzero(lengths > _WHOLE):
            found[word] = self._long.get(joined[starts[word] : ends[word]], self._unknown)
        after = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
        return found, np.diff(np.searchsorted(starts, after), prepend=0)

    def _find(self, low: Array, high: Array) -> Array:
        at = self._hash(low, high)
        found = self._places[at]
        # Where another word was found, the next place may hold this one.
        wrong = np.flatnonzero(self._differs(found, low, high))
        while len(wrong):
            at[wrong] = self._next(at[wrong])
            found[wrong] = self._places[at[wrong]]
            wrong = wrong[self._differs(found[wrong], low[wrong], high[wrong])]
        return np.where(found < 0, self._unknown, found)

    def _differs(self, found: Array, low: Array, high: Array) -> Array:
        """Whether a word was found, and another one."""
        return (found >= 0) & ((self._low[found] != low) | (self._high[found] != high))

    def _hash(self, low: Array, high: Array) -> Array:
        mixed = low * _FACTORS[0] ^ high * _FACTORS[1]
        mixed = (mixed ^ mixed >> np.uint64(29)) * _FACTORS[1]
        return (mixed >> np.uint64(64 - self._bits)).astype(np.int64)

    def _next(self, places: Array) -> Array:
        return (places + 1) % len(self._places)


def _keys(text: bytes, starts: Array, lengths: Array) -> tuple[Array, Array]:
    """Return the first and the second 8 bytes of words; what is beyond a word's end is 0."""
    room = text + bytes(_WHOLE)
    # Of every place the eight bytes from there on.
    halves = np.ndarray(len(room) - _HALF + 1, dtype="<u8", buffer=room, strides=(1,))
    low = halves[starts] & _MASKS[np.minimum(lengths, _HALF)]
    high = np.zeros_like(low)
    # Few words have a second half.
    on = np.flatnonzero(lengths > _HALF)
    high[on] = halves[starts[on] + _HALF] & _MASKS[np.minimum(lengths[on], _WHOLE) - _HALF]
    return low, high
