"""Rows of different lengths: stored end to end, batched by length, padded on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch

from zoo.interfaces import Batch

Array = npt.NDArray[Any]

# Lengths are rounded up to a multiple of this. It costs and gains no time; it stays because dropout
# draws by shape, so that what a training arrives at depends on it.
LENGTH_STEP = 16
# Batches are drawn from pools of this many batches sorted by length.
POOL_BATCHES = 50
EVALUATION_STEPS = 1 << 16


class Batches(Sequence[Batch]):
    """Batches that are built when they are asked for, from a plan of what goes into each."""

    def __init__(self, plan: Sequence[Any], build: Callable[[Any], Batch]) -> None:
        self._plan = plan
        self._build = build

    def __len__(self) -> int:
        return len(self._plan)

    @overload
    def __getitem__(self, index: int) -> Batch: ...
    @overload
    def __getitem__(self, index: slice) -> Batches: ...
    def __getitem__(self, index: int | slice) -> Batch | Batches:
        if isinstance(index, slice):
            return Batches(self._plan[index], self._build)
        return self._build(self._plan[index])


@dataclass(frozen=True, slots=True)
class Ragged:
    """A split of rows of different lengths.

    Args:
        values: (N,) indices or (N, F) numbers: the steps of all rows, end to end.
        starts: (M,) where each row starts in ``values``.
        lengths: (M,) how many steps each row has.
        targets: (M, ...) one a row, or (N, ...) one a step where ``per_step``.
        per_step: Which of the two.
    """

    values: Array
    starts: Array
    lengths: Array
    targets: Array
    per_step: bool = False

    @classmethod
    def of(cls, rows: Sequence[Any], targets: Sequence[Any], *, per_step: bool = False) -> Ragged:
        """Store a list of rows; targets are one a row, or a sequence as long as the row."""
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        flat = _joined(targets) if per_step else np.asarray(targets)
        return cls(_joined(rows), starts, lengths, flat, per_step)

    @property
    def examples(self) -> int:
        return len(self.lengths)

    def select(self, rows: Array) -> Ragged:
        """Return the split of some of the rows, by index."""
        targets = self.targets if self.per_step else self.targets[rows]
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows], targets=targets)

    def shuffled_within(self, seed: int) -> Ragged:
        """Return the split with the steps of each row, and their targets, in random order."""
        order = np.arange(len(self.values))
        generator = np.random.default_rng(seed)
        for start, length in zip(self.starts, self.lengths, strict=True):
            generator.shuffle(order[start : start + length])
        targets = self.targets[order] if self.per_step else self.targets
        return replace(self, values=self.values[order], targets=targets)

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Batches:
        """Return batches of rows of like length, in random order."""
        generator = np.random.default_rng((seed, epoch))
        order = generator.permutation(self.examples)
        plan: list[Array] = []
        pool = batch_size * POOL_BATCHES
        for first in range(0, len(order), pool):
            rows = order[first : first + pool]
            rows = rows[np.argsort(self.lengths[rows], kind="stable")]
            plan += [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]
        return Batches([plan[i] for i in generator.permutation(len(plan))], self.batch)

    def ordered(self) -> Batches:
        """Return batches of up to 65,536 steps, padding included, or of one row; longest first."""
        order = np.argsort(-self.lengths, kind="stable")
        plan: list[Array] = []
        first = 0
        while first < len(order):
            after = first + max(1, EVALUATION_STEPS // _padded_length(self.lengths[order[first]]))
            plan.append(order[first:after])
            first = after
        return Batches(plan, self.batch)

    def batch(self, rows: Array) -> Batch:
        """Pad some rows to a rectangle."""
        lengths = self.lengths[rows]
        steps = _padded_length(lengths.max())
        step = np.arange(steps)
        real = step < lengths[:, None]
        index = (self.starts[rows][:, None] + step)[real]
        inputs = _padded(self.values, index, real)
        targets = _padded(self.targets, index, real) if self.per_step else self.targets[rows]
        return Batch(torch.from_numpy(inputs), torch.from_numpy(lengths), torch.as_tensor(targets))


def _padded_length(longest: int) -> int:
    return max(-(-int(longest) // LENGTH_STEP), 1) * LENGTH_STEP


def _padded(values: Array, index: Array, real: Array) -> Array:
    kind = np.int64 if values.dtype.kind in "iu" else values.dtype
    padded = np.zeros(real.shape + values.shape[1:], dtype=kind)
    padded[real] = values[index]
    return padded


def _joined(rows: Sequence[Any]) -> Array:
    # An empty list would count as numbers with a point.
    return np.concatenate([np.asarray(row) for row in rows if len(row)] or [np.empty(0, np.int64)])
