"""Rows in memory-mapped files: shuffled and batched in memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

import numpy as np

from zoo.data.ragged import (
    EVALUATION_STEPS,
    PAD_TO_MULTIPLE_OF,
    POOL_BATCHES,
    Array,
    Batches,
    IntArray,
    Ragged,
)

_ROUNDS = 6
# Rows that an evaluation sorts by length at once.
_SORTED = 1 << 14
# Multipliers of the finaliser of splitmix64 (G. Steele, D. Lea and C. Flood, OOPSLA 2014).
_MIX = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)


class Permutation:
    """A random order of N rows, computed where it is asked for, in constant memory.

    It is a Feistel network over the bits of a row number; what falls outside the rows is encrypted
    again (J. Black and P. Rogaway, *Ciphers with arbitrary finite domains*, CT-RSA 2002).

    Args:
        length: N.
        key: Decides the order, such as seed and epoch.
    """

    def __init__(self, length: int, key: Sequence[int]) -> None:
        self._length = length
        self._half = np.uint64(max(1, -(-max(length - 1, 1).bit_length() // 2)))
        self._mask = (np.uint64(1) << self._half) - np.uint64(1)
        self._keys = np.random.SeedSequence(list(key)).generate_state(_ROUNDS, np.uint64)

    def __call__(self, places: IntArray) -> IntArray:
        """Return the rows (M,) at some places (M,) of the order.

        Args:
            places: Numbers from 0 to N - 1.
        """
        rows = self._encrypt(np.asarray(places).astype(np.uint64))
        outside = np.flatnonzero(rows >= self._length)
        while len(outside):
            rows[outside] = self._encrypt(rows[outside])
            outside = outside[rows[outside] >= self._length]
        found: IntArray = rows.astype(np.int64)
        return found

    def _encrypt(self, values: Array) -> Array:
        left, right = values >> self._half, values & self._mask
        for key in self._keys:
            mixed = right + key
            for shift, factor in zip((np.uint64(30), np.uint64(27)), _MIX, strict=True):
                mixed = (mixed ^ mixed >> shift) * factor
            left, right = right, (left ^ mixed >> np.uint64(31)) & self._mask
        encrypted: Array = left << self._half | right
        return encrypted


class LazyPlan(Sequence[IntArray]):
    """The rows of each batch, computed when they are asked for.

    Args:
        length: How many batches there are.
        rows: Returns the rows of one.
        numbers: Which of the batches; None: all.
    """

    def __init__(
        self, length: int, rows: Callable[[int], IntArray], numbers: range | None = None
    ) -> None:
        self._numbers = range(length) if numbers is None else numbers
        self._rows = rows

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> IntArray: ...
    @overload
    def __getitem__(self, index: slice) -> LazyPlan: ...
    def __getitem__(self, index: int | slice) -> IntArray | LazyPlan:
        if isinstance(index, slice):
            return LazyPlan(len(self), self._rows, self._numbers[index])
        return self._rows(self._numbers[index])


@dataclass(frozen=True, slots=True)
class MappedRagged(Ragged):
    """Rows whose arrays are mapped files.

    Batches are those of :class:`zoo.data.ragged.Ragged`: shuffled rows, sorted by length within
    pools of 50 batches. Batches are shuffled within a pool.
    """

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Batches:
        """Return batches of rows of similar length, in random order.

        Args:
            seed: Seed of the run.
            epoch: Number of the epoch, from 0.
            batch_size: Rows of a batch.
        """
        number, size = self.num_examples, batch_size * POOL_BATCHES
        order = Permutation(number, (seed, epoch))

        @lru_cache(maxsize=2)
        def pool(which: int) -> list[IntArray]:
            rows = order(np.arange(which * size, min((which + 1) * size, number)))
            rows = rows[np.argsort(self.lengths[rows], kind="stable")]
            batches = [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]
            shuffled = np.random.default_rng((seed, epoch, which)).permutation(len(batches))
            return [batches[n] for n in shuffled]

        def rows_of(batch: int) -> IntArray:
            return pool(batch // POOL_BATCHES)[batch % POOL_BATCHES]

        return Batches(LazyPlan(-(-number // batch_size), rows_of), self.batch)

    def eval_batches(self) -> Batches:
        """Return batches of up to 65,536 steps, padding included, or of one row."""
        cuts: list[tuple[int, int, int]] = []
        for first in range(0, self.num_examples, _SORTED):
            lengths = -np.sort(-np.asarray(self.lengths[first : first + _SORTED]))
            at = 0
            while at < len(lengths):
                steps = -(-max(int(lengths[at]), 1) // PAD_TO_MULTIPLE_OF) * PAD_TO_MULTIPLE_OF
                after = min(at + max(1, EVALUATION_STEPS // steps), len(lengths))
                cuts.append((first, at, after))
                at = after

        @lru_cache(maxsize=1)
        def longest_first(first: int) -> IntArray:
            lengths = np.asarray(self.lengths[first : first + _SORTED])
            found: IntArray = first + np.argsort(-lengths, kind="stable")
            return found

        def rows_of(batch: int) -> IntArray:
            first, at, after = cuts[batch]
            return longest_first(first)[at:after]

        return Batches(LazyPlan(len(cuts), rows_of), self.batch)

    def shuffle_steps(self, seed: int) -> Ragged:
        """Return the rows in memory, with the steps of each in random order.

        Args:
            seed: Seed of the order.
        """
        rows = [self.values[at : at + n] for at, n in zip(self.starts, self.lengths, strict=True)]
        return Ragged.of(rows, self.targets).shuffle_steps(seed)
