"""A linear model of n-grams: the baseline of every text task, and a part of its network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from zoo_text.languages import choose_tokens
from zoo_text.lbfgs import compressed, minimise
from zoo_text.ngram_sizes import NGramSizes as NGramSizes  # Also for those who import it here.
from zoo_text.ngrams import FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Texts with the labels of all texts that are added to those with an n-gram.
SMOOTHING = 10.0
# A file holds at most this many weights, of at most this many n-grams.
MAX_WEIGHTS, MAX_NGRAMS = 1 << 23, 1 << 18
# From this many characters in all texts on, n-grams of characters would take too long.
MAX_CHARACTERS = 6_000_000


class NGrams(NamedTuple):
    """N-grams of M texts, as tensors; see :meth:`NGramSizes.arrays`.

    Args:
        keys: (N,) hashes.
        counts: (N,) how often each occurs in its text.
        segments: (N,) the text, plus M for n-grams of characters where there are also words.
    """

    keys: Tensor
    counts: Tensor
    segments: Tensor


def choose_sizes(texts: Sequence[str]) -> NGramSizes:
    """Return the sizes that suit texts.

    Names, and languages that are written without spaces, have no n-grams of words. Where there
    are too many characters, texts with spaces have none of characters.
    """
    if choose_tokens(texts) == "characters":
        return NGramSizes(0, 5)
    return NGramSizes(3, 5) if sum(map(len, texts)) < MAX_CHARACTERS else NGramSizes(2, 0)


def sample_rows(texts: Sequence[str], rows: IntArray, sizes: NGramSizes) -> IntArray:
    """Return the rows to fit to: all, or as many as memory and time allow, at random."""
    limit = MAX_CHARACTERS if sizes.characters else 10 * MAX_CHARACTERS
    total = sum(len(texts[row]) for row in rows)
    if total <= limit:
        return rows
    number = max(int(len(rows) * limit / total), 1)
    chosen: IntArray = np.sort(np.random.default_rng(0).permutation(rows)[:number])
    return chosen


class NGramLinear(nn.Module):
    """A linear model of tf-idf features of n-grams.

    A feature is ``(1 + ln count) idf``, where ``idf`` is ``ln((1 + M) / (1 + texts)) + 1`` as in
    scikit-learn. Those of the words of a text form a vector of length 1, as do those of its
    characters.

    Args:
        num_ngrams: F, the n-grams that have a weight.
        num_outputs: K.
    """

    keys: Tensor
    idf: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, num_ngrams: int, num_outputs: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(num_ngrams, dtype=torch.int64))
        self.register_buffer("idf", torch.zeros(num_ngrams))
        self.register_buffer("weight", torch.zeros(num_ngrams, num_outputs))
        self.register_buffer("bias", torch.zeros(num_outputs))

    def forward(self, ngrams: NGrams, num_texts: int) -> Tensor:
        """Return outputs (M, K) of M texts."""
        rows, columns, values = self.features(ngrams, num_texts)
        outputs = self.bias.repeat(num_texts, 1)
        return outputs.index_add_(0, rows, self.weight[columns] * values[:, None])

    def features(self, ngrams: NGrams, num_texts: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return rows, columns and values of the sparse matrix (M, F) of features."""
        if not len(self.keys):
            return ngrams.segments[:0], ngrams.keys[:0], self.idf[:0]
        at = torch.searchsorted(self.keys, ngrams.keys).clamp(max=len(self.keys) - 1)
        known = self.keys[at] == ngrams.keys
        segments, columns = ngrams.segments[known], at[known]
        values = (1 + ngrams.counts[known].float().log()) * self.idf[columns]
        squares = torch.zeros(2 * num_texts, device=values.device)
        squares.index_add_(0, segments, values**2)
        return segments % num_texts, columns, values * squares[segments].rsqrt()

    @classmethod
    def fit(
        cls,
        ngrams: NGrams,
        num_texts: int,
        loss: Callable[[Tensor], Tensor],
        bias: Tensor,
        classes: Tensor | None = None,
        start: NGramLinear | None = None,
    ) -> NGramLinear:
        """Fit to the M texts of a training split.

        Args:
            ngrams: Those of the texts.
            num_texts: M.
            loss: From outputs (M, K) to the sum of losses.
            bias: (K,) where the bias starts.
            classes: (M, C) one-hot or multi-hot labels, by which columns are scaled; None: they
                are not.
            start: A model of some of the texts, from which the search starts.
        """
        keys, texts = ngrams.keys.unique(return_counts=True)
        chosen = choose_columns(texts, min(MAX_NGRAMS, MAX_WEIGHTS // len(bias)))
        model = cls(int(chosen.sum()), len(bias))
        model.keys.copy_(keys[chosen])
        model.idf.copy_(torch.log((1 + num_texts) / (1 + texts[chosen])) + 1)
        rows, columns, values = model.features(ngrams, num_texts)
        features = compressed(rows, columns, values, (num_texts, len(model.keys)))
        scale = torch.from_numpy(scale_columns(features, classes))
        if start is not None and len(start.keys):
            at = torch.searchsorted(start.keys, model.keys).clamp(max=len(start.keys) - 1)
            same = (start.keys[at] == model.keys) & (scale > 0)
            model.weight[same] = start.weight[at[same]] / scale[same, None]
            bias = start.bias
        weight, fitted = minimise(features, loss, model.weight, bias)
        model.weight.copy_(weight * scale[:, None])
        model.bias.copy_(fitted)
        return model


def choose_columns(texts: Tensor, limit: int) -> Tensor:
    """Return which n-grams have a weight (booleans): those of two texts or more, commonest first.

    Args:
        texts: In how many texts each occurs.
        limit: Largest number of n-grams.
    """
    chosen = texts >= min(2, int(texts.max()) if len(texts) else 2)
    if int(chosen.sum()) <= limit:
        return chosen
    common = texts.argsort(descending=True, stable=True)[:limit]
    return torch.zeros_like(chosen).index_fill_(0, common, True)


def scale_columns(features: csr_array, classes: Tensor | None) -> FloatArray:
    """Scale columns in place, so that rows have a mean square of one; return the scales (F,).

    Args:
        features: (M, F).
        classes: (M, C) labels, by which columns are scaled; None: all are scaled alike.
    """
    scale = np.ones(features.shape[1], np.float32)
    if classes is not None:
        scale = column_scales(features, classes.numpy())
    features.data *= scale[features.indices]
    mean_square = float(np.square(features.data).sum()) / features.shape[0]
    size = np.float32(max(mean_square, 1e-12) ** 0.5)
    features.data /= size
    return (scale / size).astype(np.float32)


def column_scales(features: csr_array, classes: FloatArray) -> FloatArray:
    """Return a scale for each column (F,): how much its n-gram says of the labels.

    It is the fourth root of the Kullback-Leibler divergence of the labels of the texts with the
    n-gram, smoothed, from the labels of all texts. The penalty is weaker on a column of a larger
    scale, as in S. Wang and C. Manning, Baselines and Bigrams (ACL 2012), but for any number of
    labels.

    Args:
        features: (M, F), of which zeros alone are left out.
        classes: (M, C) one-hot or multi-hot labels.
    """
    from scipy.sparse import csr_array

    prior = (classes.sum(0) + 1) / (classes.sum() + classes.shape[1])
    ones = np.ones(len(features.data), np.float32)
    occurs = csr_array((ones, features.indices, features.indptr), shape=features.shape)
    number = np.bincount(features.indices, minlength=features.shape[1])[:, None]
    share = (occurs.T @ classes + SMOOTHING * prior) / (number + SMOOTHING).astype(np.float32)
    divergence: FloatArray = (share * np.log(share / prior)).sum(1)
    return np.maximum(divergence, 0) ** np.float32(0.25)
