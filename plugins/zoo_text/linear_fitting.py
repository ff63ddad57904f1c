"""How linear models of n-grams are fitted to the texts of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo.data.ragged import Array, IntArray
from zoo_text.batches import HeldOut
from zoo_text.lbfgs import computing_with
from zoo_text.linear import NGramLinear, NGramSizes, sample_rows
from zoo_text.targets import TargetTask


@dataclass(frozen=True, slots=True)
class LinearFitting:
    """Fits linear models to some of the texts of a data set, and answers others with them.

    The same texts give the same bits, however many threads there are.

    Args:
        task: Says what is minimised.
        texts: All M texts.
        targets: (M, ...) what the loss compares with.
        sizes: The n-grams that are read.
    """

    task: TargetTask
    texts: Sequence[str]
    targets: Array
    sizes: NGramSizes

    def fit(self, rows: IntArray, start: NGramLinear | None = None) -> NGramLinear:
        """Return a model of some of the texts, or of a sample of them where they are too many.

        Args:
            rows: Which texts.
            start: A model of some of them, from which the search starts.
        """
        rows = sample_rows(self.texts, rows.astype(np.int64), self.sizes)
        targets = torch.as_tensor(self.targets[rows])
        return NGramLinear.fit(
            self.sizes.ngrams([self.texts[row] for row in rows]),
            len(rows),
            lambda outputs: self.task.losses(outputs, targets, weighted=True).sum(),
            self.task.initial_bias(),
            self.task.scaling_classes(targets),
            start,
        )

    def outputs(self, model: NGramLinear, rows: IntArray) -> Tensor:
        """Return what a model says (V, K) of some of the texts."""
        with computing_with(1):
            ngrams = self.sizes.ngrams([self.texts[row] for row in rows])
            outputs: Tensor = model(ngrams, len(rows))
        return outputs

    def held_out(self, train: IntArray, rows: IntArray) -> HeldOut:
        """Return what a model of training texts says of other texts; it is fitted when needed."""

        def compute() -> Tensor:
            with torch.inference_mode(mode=False):
                return self.outputs(self.fit(train), rows)

        return HeldOut(rows, compute)
