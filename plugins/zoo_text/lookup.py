"""Words to token ids, of thousands of texts at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zoo.data.ragged import IntArray
from zoo_text.hashing import GOLDEN

BoolArray = npt.NDArray[np.bool_]

# The bytes of a word of up to 16 bytes are two integers, so that NumPy compares thousands at once.
_HALF, _WHOLE = 8, 16
# The first n bytes of a half.
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(_HALF + 1)], dtype=np.uint64)
# Odd numbers to multiply by.
_FACTORS = np.array([GOLDEN, 0xC2B2AE3D27D4EB4F], dtype=np.uint64)


class Lookup:
    """The token ids of a vocabulary: a hash table with open addressing, of NumPy arrays.

    Whole words are compared, so that different words with the same hash are told apart.

    Args:
        words: The vocabulary; the index of a word is its token id.
        unknown: The token id of every other word.
    """

    def __init__(self, words: Sequence[str], unknown: int) -> None:
        self._unknown = unknown
        coded = [word.encode() for word in words]
        lengths = np.fromiter(map(len, coded), np.int64, len(coded))
        keys = _keys(b"".join(coded), np.cumsum(lengths) - lengths, lengths)
        # One more key, which no word has, belongs to free places: they hold -1, the last index.
        self._low, self._high = (np.append(half, _MASKS[-1]) for half in keys)
        # At least four places a word, so that collisions are few.
        self._bits = len(words).bit_length() + 2
        self._places = np.full(1 << self._bits, -1)
        # A zero byte would equal the padding of a shorter word; words of texts have none.
        short = [i for i, w in enumerate(coded) if len(w) <= _WHOLE and 0 not in w]
        self._long = {w: i for i, w in enumerate(coded) if len(w) > _WHOLE}
        # Of several words with one hash the last one here gets the place: the most frequent.
        waiting = np.array(short[::-1], dtype=np.int64)
        at = self._hash(self._low[waiting], self._high[waiting])
        while len(waiting):
            free = self._places[at] < 0
            self._places[at[free]] = waiting[free]
            away = self._places[at] != waiting
            waiting, at = waiting[away], self._next(at[away])

    def token_ids(self, texts: Sequence[bytes]) -> tuple[IntArray, IntArray]:
        """Return the token ids of all words (N,), end to end, and how many each text has (M,).

        Args:
            texts: M texts, each as :func:`zoo_text.tokens.spaced` returns it.
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

    def _find(self, low: IntArray, high: IntArray) -> IntArray:
        at = self._hash(low, high)
        found = self._places[at]
        # Where another word is, the next place may hold this one (linear probing).
        wrong = np.flatnonzero(self._differs(found, low, high))
        while len(wrong):
            at[wrong] = self._next(at[wrong])
            found[wrong] = self._places[at[wrong]]
            wrong = wrong[self._differs(found[wrong], low[wrong], high[wrong])]
        return np.where(found < 0, self._unknown, found)

    def _differs(self, found: IntArray, low: IntArray, high: IntArray) -> BoolArray:
        """Return where a place holds another word."""
        other: BoolArray = (self._low[found] != low) | (self._high[found] != high)
        return (found >= 0) & other

    def _hash(self, low: IntArray, high: IntArray) -> IntArray:
        mixed: IntArray = low * _FACTORS[0] ^ high * _FACTORS[1]
        mixed = (mixed ^ mixed >> np.uint64(29)) * _FACTORS[1]
        return (mixed >> np.uint64(64 - self._bits)).astype(np.int64)

    def _next(self, places: IntArray) -> IntArray:
        return (places + 1) % len(self._places)


def _keys(text: bytes, starts: IntArray, lengths: IntArray) -> tuple[IntArray, IntArray]:
    """Return the first and the second 8 bytes of words as integers; bytes after a word are 0."""
    room = text + bytes(_WHOLE)
    # At every byte the eight bytes from there on.
    halves = np.ndarray(len(room) - _HALF + 1, dtype="<u8", buffer=room, strides=(1,))
    low = halves[starts] & _MASKS[np.minimum(lengths, _HALF)]
    high = np.zeros_like(low)
    # Few words have a second half.
    on = np.flatnonzero(lengths > _HALF)
    high[on] = halves[starts[on] + _HALF] & _MASKS[np.minimum(lengths[on], _WHOLE) - _HALF]
    return low, high
