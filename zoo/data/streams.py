"""One long sequence: read as parallel streams with carried state, or as random windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from zoo.data.ragged import Batches
from zoo.interfaces import Batch

Array = npt.NDArray[Any]
READINGS = ("streams", "windows")
EVALUATION_WINDOW = 2048


@dataclass(frozen=True, slots=True)
class Stream:
    """A split of one sequence whose every symbol is predicted from those before it.

    Args:
        codes: (N,) symbols; may be memory-mapped, and is only ever read in windows.
        window: Steps that gradients flow back through.
        reading: How an epoch reads the text. ``streams``: as many contiguous streams as a batch
            has rows, window after window with carried state (truncated backpropagation through
            time). ``windows``: windows at random places, each from a fresh state.
    """

    codes: Array
    window: int
    reading: str

    @property
    def examples(self) -> int:
        """How many symbols are predicted: all but the first."""
        return len(self.codes) - 1

    def cold(self, rows: int = 64) -> Windows:
        """Return the same text as adjoining windows, each read from a fresh state."""
        return Windows(self.codes, self.window, rows)

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Batches:
        if self.reading == "windows":
            return self._random_windows(seed, epoch, batch_size)
        # The text is taken as a ring that starts elsewhere each epoch, so that windows and the
        # breaks between streams fall elsewhere.
        first = int(np.random.default_rng((seed, epoch)).integers(self.examples))
        return self._streams(first, batch_size)

    def ordered(self) -> Batches:
        """Return the whole text as one stream, state carried from window to window."""
        return replace(self, window=EVALUATION_WINDOW)._streams(0, 1)

    def _streams(self, first: int, rows: int) -> Batches:
        rows = min(rows, self.examples)
        length = self.examples // rows
        starts = first + np.arange(rows) * length

        def build(at: int) -> Batch:
            return self._batch(starts + at, min(self.window, length - at), fresh=at == 0)

        return Batches(range(0, length, self.window), build)

    def _random_windows(self, seed: int, epoch: int, rows: int) -> Batches:
        steps = min(self.window, self.examples)
        places = self.examples - steps + 1

        def build(number: int) -> Batch:
            starts = np.random.default_rng((seed, epoch, number)).integers(places, size=rows)
            return self._batch(starts, steps, fresh=True)

        return Batches(range(max(1, places // rows)), build)

    def _batch(self, starts: Array, steps: int, *, fresh: bool) -> Batch:
        places = (starts[:, None] + np.arange(steps + 1)) % len(self.codes)
        text = self.codes[places].astype(np.int64)
        return Batch(
            torch.from_numpy(text[:, :-1]),
            torch.full((len(starts),), steps),
            torch.from_numpy(text[:, 1:]),
            fresh=fresh,
        )

    def part(self, first: int, after: int) -> Stream:
        """Return the split of a part of the text."""
        return replace(self, codes=self.codes[first:after])


@dataclass(frozen=True, slots=True)
class Windows:
    """Adjoining windows, each from a fresh state; the last, shorter one is a batch of its own."""

    codes: Array
    window: int
    rows: int

    @property
    def examples(self) -> int:
        return len(self.codes) - 1

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Batches:
        del seed, epoch, batch_size
        return self.ordered()

    def ordered(self) -> Batches:
        whole = Stream(self.codes, self.window, "windows")
        full = np.arange(0, self.examples - self.window + 1, self.window)
        plan = [full[at : at + self.rows] for at in range(0, len(full), self.rows)]
        if self.examples % self.window:
            plan.append(np.array([self.examples - self.examples % self.window]))

        def build(starts: Array) -> Batch:
            steps = min(self.window, self.examples - int(starts[0]))
            return whole._batch(starts, steps, fresh=True)

        return Batches(plan, build)
