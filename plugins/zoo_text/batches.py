"""Texts as batches: token ids, the parts of tokens, and n-grams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from zoo.data.ragged import Array, Batches, IntArray, Ragged
from zoo.interfaces import Batch
from zoo_text.linear import NGrams, NGramSizes
from zoo_text.subwords import Types


@dataclass(frozen=True)
class TextBatch(Batch):
    """A batch of texts.

    Args:
        units: (N,) hashes of the units of the batch's distinct tokens; None with tokens=words.
        starts: (U + 1,) where each distinct token's units start.
        ngram_keys: N-grams of the texts, see :class:`zoo_text.linear.NGrams`; None in training and
            where there is no linear model.
        ngram_counts: See there.
        ngram_segments: See there.
        linear: (B, K) what a linear model says that has not seen these texts; None: the network's
            own is asked.
        baseline: (B, K) what a linear model says that is no part of the network.
        rows: (B,) which texts these are.
        epoch: Number of the epoch of the training, from 0.
    """

    units: Tensor | None = None
    starts: Tensor | None = None
    ngram_keys: Tensor | None = None
    ngram_counts: Tensor | None = None
    ngram_segments: Tensor | None = None
    linear: Tensor | None = None
    baseline: Tensor | None = None
    rows: Tensor | None = None
    epoch: int = 0

    @property
    def ngrams(self) -> NGrams | None:
        """The n-grams of the texts, if there are any."""
        if self.ngram_keys is None or self.ngram_counts is None or self.ngram_segments is None:
            return None
        return NGrams(self.ngram_keys, self.ngram_counts, self.ngram_segments)

    def select(self, rows: slice) -> TextBatch:
        """Return some texts of a training batch, with the units of the tokens of all."""
        by_row = Batch.select(replace(self, units=None, starts=None), rows)
        return replace(by_row, units=self.units, starts=self.starts)


class HeldOut:
    """Outputs of a linear model for texts that it has not seen, computed when they are needed.

    Args:
        rows: (V,) row numbers of the texts, sorted.
        compute: Returns the outputs (V, K).
    """

    def __init__(self, rows: IntArray, compute: Callable[[], Tensor]) -> None:
        self._rows = rows
        self._compute = cache(compute)

    def outputs(self, rows: IntArray) -> Tensor:
        """Return the outputs (B, K) of some of the texts."""
        return self._compute()[torch.from_numpy(np.searchsorted(self._rows, rows))]


@dataclass(frozen=True)
class TextSplit:
    """Texts of one part of a data set.

    Args:
        tokens: Token ids of each text; its targets are the row numbers of the texts.
        targets: (M, ...) of all M texts that rows refer to.
        types: What the token ids stand for, with subwords; None with tokens=words.
        texts: The M texts.
        sizes: The n-grams of the linear model; None: there is none.
        held_out: Outputs of a linear model that has not seen the texts, in place of those of the
            network's own; None: there are none.
        baseline: Outputs of a linear model that is no part of the network; None: there are none.
    """

    tokens: Ragged
    targets: Array
    types: Types | None = None
    texts: Sequence[str] = ()
    sizes: NGramSizes | None = None
    held_out: HeldOut | None = None
    baseline: HeldOut | None = None

    @property
    def num_examples(self) -> int:
        """How many texts there are."""
        return self.tokens.num_examples

    def select(self, rows: IntArray | slice) -> TextSplit:
        """Return the split of some of the texts, by index."""
        return replace(self, tokens=self.tokens.select(rows))

    def text(self, row: int) -> str:
        """Return a text, by its row number."""
        return self.texts[row] if self.texts else ""

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Batches:
        """Return batches of texts of similar length, in random order; without n-grams."""
        planned = self.tokens.train_batches(seed, epoch, batch_size)
        return Batches(planned.plan, lambda rows: replace(self._batch(rows), epoch=epoch))

    def eval_batches(self) -> Batches:
        """Return batches that hold every text once, with n-grams."""
        return Batches(self.tokens.eval_batches().plan, self.batch)

    def shuffle_steps(self, seed: int) -> TextSplit:
        """Return the split with the tokens of each text in random order.

        The linear model does not see the order: its n-grams stay.
        """
        return replace(self, tokens=self.tokens.shuffle_steps(seed))

    def batch(self, rows: IntArray) -> TextBatch:
        """Return some texts, by index, with their n-grams."""
        batch = self._batch(rows)
        assert batch.rows is not None
        if self.held_out is not None:
            return replace(batch, linear=self.held_out.outputs(batch.rows.numpy()))
        if self.baseline is not None:
            return replace(batch, baseline=self.baseline.outputs(batch.rows.numpy()))
        if self.sizes is None:
            return batch
        found = self.sizes.ngrams([self.texts[row] for row in batch.rows.tolist()])
        return replace(
            batch, ngram_keys=found.keys, ngram_counts=found.counts,
            ngram_segments=found.segments,
        )  # fmt: skip

    def _batch(self, rows: IntArray) -> TextBatch:
        padded = self.tokens.batch(rows)
        inputs, units, starts = padded.inputs, None, None
        if self.types is not None:
            index, chosen = self.types.distinct(inputs.numpy())
            inputs = torch.from_numpy(index)
            units, starts = torch.from_numpy(chosen.units), torch.from_numpy(chosen.starts)
        return TextBatch(
            inputs, padded.lengths, torch.as_tensor(self.targets[padded.targets.numpy()]),
            units=units, starts=starts, rows=padded.targets,
        )  # fmt: skip
