"""The linear baseline of a network that has no linear model: fitted for the test alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.data.ragged import Array, IntArray, Ragged
from zoo.interfaces import Data
from zoo_text import hashing
from zoo_text.batches import HeldOut, TextSplit
from zoo_text.lbfgs import minimise
from zoo_text.linear import NGramSizes, choose_sizes, scale_columns
from zoo_text.linear_fitting import LinearFitting
from zoo_text.targets import TargetTask

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from zoo_text.task import TextTask

# Training texts of more tokens are read as the network reads them: to read and hash their words
# takes longer than a short training.
MAX_TOKENS = 1_000_000
# The columns of words and pairs of words, as a power of two.
BITS = 19
_GOLDEN, _PAIR = np.uint64(hashing.GOLDEN), np.uint64(hashing.PAIR)


def with_baseline(task: TextTask, data: Data) -> Data:
    """Return data whose test split has the outputs of a linear model of the training texts.

    The model is fitted when the test split is evaluated. It decides where the validation texts are
    decided best, if the task does.
    """
    train, validation, test = (_split(data, name) for name in ("train", "validation", "test"))
    rows = np.sort(test.tokens.targets)
    held_out = np.sort(validation.tokens.targets)

    def compute() -> Tensor:
        answered = np.concatenate((held_out, rows))
        outputs = _fitted_outputs(task, data, np.sort(train.tokens.targets), answered)
        first, last = outputs[: len(held_out)], outputs[len(held_out) :]
        return last + task.decision_shift(first, torch.as_tensor(train.targets[held_out]))

    baseline = HeldOut(rows, compute)
    return replace(data, splits={**data.splits, "test": replace(test, baseline=baseline)})


def _split(data: Data, name: str) -> TextSplit:
    split = data.splits[name]
    assert isinstance(split, TextSplit)
    return split


def _fitted_outputs(task: TextTask, data: Data, train: IntArray, rows: IntArray) -> Tensor:
    """Return what a model of training texts says (N, K) of other texts."""
    everything = _split(data, "all")
    lengths = everything.tokens.lengths[train]
    with torch.inference_mode(mode=False):
        if everything.types is None and int(lengths.sum()) > MAX_TOKENS:
            return hashed_outputs(task, everything.tokens, everything.targets, train, rows)
        texts = everything.texts
        sizes: NGramSizes = choose_sizes([texts[row] for row in train.tolist()])
        fitting = LinearFitting(task, texts, everything.targets, sizes)
        return fitting.outputs(fitting.fit(train), rows)


def hashed_outputs(
    task: TargetTask, tokens: Ragged, targets: Array, train: IntArray, rows: IntArray
) -> Tensor:
    """Fit tf-idf features of words and word pairs to training texts, and answer others (N, K).

    As :class:`zoo_text.linear.NGramLinear`, but words and pairs are hashed into columns (K.
    Weinberger et al., arXiv:0902.2206), which takes a third of the time.

    Args:
        task: Says what is minimised.
        tokens: Token ids of all texts, in order.
        targets: (M, ...) what the loss compares with.
        train: Rows of the training texts.
        rows: Rows of the others.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    weigh = TfidfTransformer(sublinear_tf=True)
    features = weigh.fit_transform(_counts(tokens, train)).astype(np.float32)
    unseen = np.bincount(features.indices, minlength=1 << BITS) == 0
    weigh.idf_ = np.where(unseen, 0.0, weigh.idf_)
    chosen = torch.as_tensor(targets[train])
    scale = scale_columns(features, task.scaling_classes(chosen))
    bias = task.initial_bias()
    weight, bias = minimise(
        features,
        lambda outputs: task.losses(outputs, chosen, weighted=True).sum(),
        torch.zeros(1 << BITS, len(bias)),
        bias,
    )
    others = weigh.transform(_counts(tokens, rows)).astype(np.float32)
    return torch.from_numpy(others @ (weight.numpy() * scale[:, None])) + bias


def _counts(tokens: Ragged, rows: IntArray) -> csr_array:
    """Return how often each column occurs in each of N texts (N, 2^BITS)."""
    from scipy.sparse import csr_array

    chosen = tokens.select(rows)
    lengths = np.asarray(chosen.lengths, np.int64)
    ends = np.cumsum(lengths)
    index = np.repeat(chosen.starts - (ends - lengths), lengths) + np.arange(lengths.sum())
    words = chosen.values[index].astype(np.uint64)
    pairs = words * _PAIR
    pairs[:-1] += words[1:] + np.uint64(1)
    shift = np.uint64(64 - BITS)
    columns = np.stack([words * _GOLDEN >> shift, pairs * _GOLDEN >> shift], axis=1)
    values = np.ones(columns.size, np.float32)
    values[2 * ends - 1] = 0  # After the last word of a text comes none.
    starts = np.append(0, 2 * ends).astype(np.int32)
    counts = csr_array(
        (values, columns.astype(np.int32).ravel(), starts), shape=(len(rows), 1 << BITS)
    )
    counts.sum_duplicates()
    counts.eliminate_zeros()
    return counts
