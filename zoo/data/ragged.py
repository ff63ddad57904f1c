"""Rows of different lengths: stored end to end, batched by length, padded on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from zoo.interfaces import Batch

Array = npt.NDArray[Any]
IntArray = npt.NDArray[np.integer[Any]]
"""Token ids, indices, lengths: integers of any width."""

PAD_TO_MULTIPLE_OF = 16
"""Every batch is padded to a multiple of this many steps, of which the longest row may use fewer.

Networks do not depend on it, as padding is never read; dropout does, because it draws random
numbers by shape: another value changes what a training arrives at.
"""
# Batches are drawn from pools of this many batches sorted by length.
POOL_BATCHES = 50
# Steps in a batch of evaluation, padding included.
EVALUATION_STEPS = 1 << 16


class Batches(Sequence[Batch]):
    """Batches that are built when they are read.

    Args:
        plan: What each of them holds, such as row numbers.
        build: Makes a batch of that.
    """

    def __init__(self, plan: Sequence[Any], build: Callable[[Any], Batch]) -> None:
        self.plan = plan
        self._build = build

    def __len__(self) -> int:
        return len(self.plan)

    @overload
    def __getitem__(self, index: int) -> Batch: ...
    @overload
    def __getitem__(self, index: slice) -> Batches: ...
    def __getitem__(self, index: int | slice) -> Batch | Batches:
        if isinstance(index, slice):
            return Batches(self.plan[index], self._build)
        return self._build(self.plan[index])


@dataclass(frozen=True, slots=True)
class Ragged:
    """A split of rows of different lengths.

    A batch is padded on the right with zeros, to the length of its longest row rounded up to a
    multiple of 16 steps (:data:`PAD_TO_MULTIPLE_OF`): rows of 5 and 12 steps make inputs of shape
    (2, 16), of which ``lengths`` says what is padding.

    Args:
        values: (N,) token ids or (N, F) vectors: the steps of all rows, end to end.
        starts: (M,) where each row starts in ``values``.
        lengths: (M,) number of steps of each row.
        targets: (M, ...) one for each row, or (N, ...) one for each step where ``per_step``.
        per_step: Which of the two.
    """

    values: Array
    starts: IntArray
    lengths: IntArray
    targets: Array
    per_step: bool = False

    @classmethod
    def of(
        cls, rows: Sequence[Any], targets: Sequence[Any] | Array, *, per_step: bool = False
    ) -> Ragged:
        """Store a list of rows; targets are one a row, or a sequence as long as the row.

        Args:
            rows: M rows, each of token ids or of vectors.
            targets: M targets or, where ``per_step``, M rows of them.
            per_step: Whether there is a target for each step.
        """
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        flat = _concatenate(targets) if per_step else np.asarray(targets)
        return cls(_concatenate(rows), starts, lengths, flat, per_step)

    @property
    def num_examples(self) -> int:
        """How many rows there are."""
        return len(self.lengths)

    def select(self, rows: IntArray | slice) -> Ragged:
        """Return the split of some of the rows, by index.

        Args:
            rows: (K,) numbers of rows; or a slice, which copies nothing.
        """
        targets = self.targets if self.per_step else self.targets[rows]
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows], targets=targets)

    def shuffle_steps(self, seed: int) -> Ragged:
        """Return the split with the steps of each row, and their targets, in random order.

        Args:
            seed: Seed of the order.
        """
        order = np.arange(len(self.values))
        generator = np.random.default_rng(seed)
        for start, length in zip(self.starts, self.lengths, strict=True):
            generator.shuffle(order[start : start + length])
        targets = self.targets[order] if self.per_step else self.targets
        return replace(self, values=self.values[order], targets=targets)

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Batches:
        """Return batches of rows of similar length, in random order.

        Rows are shuffled, sorted by length within pools of 50 batches, and cut into batches, which
        are shuffled.

        Args:
            seed: Seed of the run.
            epoch: Number of the epoch, from 0.
            batch_size: Rows of a batch; the last one may have fewer.
        """
        generator = np.random.default_rng((seed, epoch))
        order = generator.permutation(self.num_examples)
        plan: list[IntArray] = []
        pool = batch_size * POOL_BATCHES
        for first in range(0, len(order), pool):
            rows = order[first : first + pool]
            rows = rows[np.argsort(self.lengths[rows], kind="stable")]
            plan += [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]
        return Batches([plan[i] for i in generator.permutation(len(plan))], self.batch)

    def eval_batches(self) -> Batches:
        """Return batches of up to 65,536 steps, padding included, or of one row; longest first."""
        order = np.argsort(-self.lengths, kind="stable")
        plan: list[IntArray] = []
        first = 0
        while first < len(order):
            after = first + max(1, EVALUATION_STEPS // _padded_length(self.lengths[order[first]]))
            plan.append(order[first:after])
            first = after
        return Batches(plan, self.batch)

    def batch(self, rows: IntArray) -> Batch:
        """Return some rows, by index, padded to the same length.

        Args:
            rows: (B,) numbers of rows.
        """
        # Imported here: answers without torch read rows by :meth:`padded`.
        import torch

        inputs, lengths, targets = self.padded(rows)
        return Batch(torch.from_numpy(inputs), torch.from_numpy(lengths), torch.as_tensor(targets))

    def padded(self, rows: IntArray) -> tuple[Array, IntArray, Array]:
        """Return the arrays of :meth:`batch`: inputs (B, T, ...), lengths (B,) and targets.

        Args:
            rows: (B,) numbers of rows.
        """
        lengths = self.lengths[rows]
        steps = _padded_length(lengths.max())
        step = np.arange(steps)
        length_mask = step < lengths[:, None]
        index = (self.starts[rows][:, None] + step)[length_mask]
        inputs = _pad(self.values, index, length_mask)
        targets = _pad(self.targets, index, length_mask) if self.per_step else self.targets[rows]
        return inputs, lengths, targets


def _padded_length(longest: int) -> int:
    return max(-(-int(longest) // PAD_TO_MULTIPLE_OF), 1) * PAD_TO_MULTIPLE_OF


def _pad(values: Array, index: IntArray, length_mask: npt.NDArray[np.bool_]) -> Array:
    kind = np.int64 if values.dtype.kind in "iu" else values.dtype
    padded = np.zeros(length_mask.shape + values.shape[1:], dtype=kind)
    padded[length_mask] = values[index]
    return padded


def _concatenate(rows: Sequence[Any] | Array) -> Array:
    # An empty list by itself would be an array of floats.
    return np.concatenate([np.asarray(row) for row in rows if len(row)] or [np.empty(0, np.int64)])
