"""Damped sine waves of different lengths, made from random parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from zoo.data.ragged import Batches
from zoo.interfaces import Batch

WAVES = 10_000
SEED = 15
SHORTEST, LONGEST = 20, 40
EVALUATION_ROWS = 1000

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class WaveSplit:
    """A split of M waves and the vectors that describe them.

    Args:
        vectors: (M, 3) frequency in cycles a sample, phase in cycles, decay a sample.
        lengths: (M,) number of samples of each wave.
        waves: (M, LONGEST) samples, zero after the last one.
    """

    vectors: Array
    lengths: Array
    waves: Array

    @property
    def num_examples(self) -> int:
        """How many waves there are."""
        return len(self.lengths)

    def select(self, rows: Array) -> WaveSplit:
        """Return the split of some of the waves, by index."""
        return WaveSplit(self.vectors[rows], self.lengths[rows], self.waves[rows])

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Batches:
        """Return batches of waves in random order."""
        order = np.random.default_rng((seed, epoch)).permutation(self.num_examples)
        return self._batches(order, batch_size)

    def eval_batches(self) -> Batches:
        """Return batches that hold every wave once."""
        return self._batches(np.arange(self.num_examples), EVALUATION_ROWS)

    def _batches(self, order: Array, size: int) -> Batches:
        return Batches([order[at : at + size] for at in range(0, len(order), size)], self.batch)

    def batch(self, rows: Array) -> Batch:
        """Return some waves, by index, padded to the longest of them."""
        lengths = self.lengths[rows]
        return Batch(
            inputs=torch.from_numpy(self.vectors[rows]),
            lengths=torch.from_numpy(lengths),
            targets=torch.from_numpy(self.waves[rows, : lengths.max()]),
        )


def sample() -> WaveSplit:
    """Return the sample, the same each time."""
    generator = np.random.default_rng(SEED)
    lengths = generator.integers(SHORTEST, LONGEST, size=WAVES, endpoint=True)
    vectors = generator.uniform((0.02, 0.0, 0.0), (0.1, 1.0, 0.1), size=(WAVES, 3))
    frequency, phase, decay = vectors.T[..., None]
    step = np.arange(LONGEST)
    waves = np.exp(-decay * step) * np.sin(2 * np.pi * (frequency * step + phase))
    waves[step >= lengths[:, None]] = 0.0
    return WaveSplit(vectors.astype(np.float32), lengths, waves.astype(np.float32))
