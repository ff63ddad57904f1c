"""One long sequence of token ids, read in contiguous rows with carried state or in windows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from zoo.data.ragged import Batches, IntArray
from zoo.interfaces import Batch

BATCHING = ("contiguous", "random")
# Steps that evaluation reads at a time, in place of bptt_steps: the state is carried and no
# gradient is computed, so that only speed and memory depend on it.
EVALUATION_STEPS = 2048


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """A split of one sequence in which every token is predicted from those before it.

    Args:
        token_ids: (N,) token ids; may be memory-mapped, and is only ever read in windows.
        bptt_steps: T, the steps that gradients flow back through (truncated backpropagation
            through time; R. Williams and J. Peng, Neural Computation 2 (1990)).
        batching: How an epoch reads the sequence. ``contiguous``: it is divided into as many
            contiguous parts as a batch has rows; each row reads its part, T steps a batch, with
            carried state. ``random``: windows of T steps at random places, each from the initial
            state.
    """

    token_ids: IntArray
    bptt_steps: int
    batching: str = "contiguous"

    @property
    def num_examples(self) -> int:
        """How many tokens are predicted: all but the first."""
        return len(self.token_ids) - 1

    def slice(self, first: int, after: int) -> TokenSequence:
        """Return the split of the tokens ``first`` to ``after - 1``.

        Args:
            first: The first token.
            after: The first token that is left out.
        """
        return replace(self, token_ids=self.token_ids[first:after])

    def windows(self, rows: int = 64) -> Windows:
        """Return the same tokens as adjoining windows, each read from the initial state.

        Args:
            rows: Windows in a batch.
        """
        return Windows(self.token_ids, self.bptt_steps, rows)

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Batches:
        """Return the batches of one epoch.

        Args:
            seed: With ``epoch``, decides where windows are.
            epoch: Counted from 0.
            batch_size: Rows of a batch; fewer where the sequence is shorter.
        """
        if self.batching == "random":
            return self._random_windows(seed, epoch, batch_size)
        # The sequence is taken as a ring that starts elsewhere in each epoch, so that the
        # boundaries between windows and between rows fall elsewhere.
        first = int(np.random.default_rng((seed, epoch)).integers(self.num_examples))
        return self._contiguous_rows(first, batch_size)

    def eval_batches(self) -> Batches:
        """Return the whole sequence as one row whose state is carried from batch to batch."""
        return replace(self, bptt_steps=EVALUATION_STEPS)._contiguous_rows(0, 1)

    def batch(self, starts: IntArray, steps: int, *, reset_state: bool) -> Batch:
        """Return the windows of ``steps`` steps that begin at ``starts`` (B,); targets follow.

        Args:
            starts: (B,) where the windows begin; those past the end go on at the beginning.
            steps: Steps of each window.
            reset_state: Whether rows start from the initial state.
        """
        places = (starts[:, None] + np.arange(steps + 1)) % len(self.token_ids)
        tokens = self.token_ids[places].astype(np.int64)
        return Batch(
            torch.from_numpy(tokens[:, :-1]),
            torch.full((len(starts),), steps),
            torch.from_numpy(tokens[:, 1:]),
            reset_state=reset_state,
        )

    def _contiguous_rows(self, first: int, rows: int) -> Batches:
        rows = min(rows, self.num_examples)
        length = self.num_examples // rows
        starts = first + np.arange(rows) * length

        def build(at: int) -> Batch:
            steps = min(self.bptt_steps, length - at)
            return self.batch(starts + at, steps, reset_state=at == 0)

        return Batches(range(0, length, self.bptt_steps), build)

    def _random_windows(self, seed: int, epoch: int, rows: int) -> Batches:
        steps = min(self.bptt_steps, self.num_examples)
        places = self.num_examples - steps + 1

        def build(number: int) -> Batch:
            starts = np.random.default_rng((seed, epoch, number)).integers(places, size=rows)
            return self.batch(starts, steps, reset_state=True)

        return Batches(range(max(1, places // rows)), build)


@dataclass(frozen=True, slots=True)
class Windows:
    """A split of adjoining windows, each from the initial state.

    A last, shorter window is a batch of its own. Batches of training are those of evaluation.

    Args:
        token_ids: (N,) token ids.
        steps: Steps of a window.
        rows: Windows in a batch.
    """

    token_ids: IntArray
    steps: int
    rows: int

    @property
    def num_examples(self) -> int:
        """How many tokens are predicted: all but the first."""
        return len(self.token_ids) - 1

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Batches:
        """Return the batches of :meth:`eval_batches`; the arguments change nothing.

        Args:
            seed: Ignored.
            epoch: Ignored.
            batch_size: Ignored.
        """
        del seed, epoch, batch_size
        return self.eval_batches()

    def eval_batches(self) -> Batches:
        """Return the windows in order."""
        sequence = TokenSequence(self.token_ids, self.steps)
        full = np.arange(0, self.num_examples - self.steps + 1, self.steps)
        plan = [full[at : at + self.rows] for at in range(0, len(full), self.rows)]
        if self.num_examples % self.steps:
            plan.append(np.array([self.num_examples - self.num_examples % self.steps]))

        def build(starts: IntArray) -> Batch:
            steps = min(self.steps, self.num_examples - int(starts[0]))
            return sequence.batch(starts, steps, reset_state=True)

        return Batches(plan, build)
