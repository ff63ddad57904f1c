"""The network around a model that reads a text, by NumPy: :class:`zoo_text.network.TextNetwork`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zoo.interfaces import Array, ArrayState, BuildRuntimeModel, Tensors
from zoo_text.hashing import BUCKET_SCALE, PAIR, SIGNED_GOLDEN
from zoo_text.ngram_sizes import NGramSizes
from zoo_text.options import TextOptions
from zoo_text.subwords import Types
from zoo_text.vocabulary import UNKNOWN


class TextArrays(NamedTuple):
    """A batch of texts; see :class:`zoo_text.batches.TextBatch`.

    Args:
        token_ids: (B, T) rows of the vocabulary; with subwords, of the distinct tokens.
        lengths: (B,).
        types: The distinct tokens, with subwords; None otherwise.
        texts: The B texts; those of a probe are not known.
        ngrams: What :meth:`NGramSizes.arrays` returns of them; None: it is computed.
    """

    token_ids: Array
    lengths: Array
    types: Types | None
    texts: Sequence[str] = ()
    ngrams: tuple[Array, Array, Array] | None = None


def sum_groups(values: Array, starts: Array) -> Array:
    """Return the sums (M, ...) of M groups of adjoining rows; that of an empty group is 0.

    Args:
        values: (N, ...).
        starts: (M + 1,) where each group starts; the last is N.
    """
    sums = np.zeros((len(starts) - 1, *values.shape[1:]), values.dtype)
    filled = starts[1:] > starts[:-1]
    if filled.any():
        sums[filled] = np.add.reduceat(values, starts[:-1][filled], axis=0)
    return sums


def find(keys: Array, wanted: Array) -> tuple[Array, Array]:
    """Return where each of some keys is among sorted ones, and which are there at all."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return at, keys[at] == wanted


class RuntimeNetwork:
    """Embedding -> model -> pooling -> linear layers, and a linear model of n-grams beside it.

    Args:
        build_model: Builds the model.
        options: The task's options.
        tensors: Those of the file.
        num_tokens: V, the size of the vocabulary, or the number of subword units.
        num_outputs: K.
        sizes: The n-grams of the linear model; None: there is none.
        num_ngrams: How many have a weight.
        calibrated: Whether there are a temperature and a threshold.
    """

    def __init__(
        self,
        build_model: BuildRuntimeModel,
        options: TextOptions,
        tensors: Tensors,
        num_tokens: int,
        num_outputs: int,
        sizes: NGramSizes | None,
        num_ngrams: int | None,
        *,
        calibrated: bool,
    ) -> None:
        self.options, self.sizes = options, sizes
        self._keys, self._embedding = None, None
        width = options.embed_size
        if options.tokens != "words":
            self._keys = tensors.take("embedding.keys", num_tokens, kind="int64", buffer=True)
            self._embedding = tensors.take("embedding.weight", num_tokens + 1, width)
        elif options.input == "onehot":
            width = num_tokens
        else:
            self._embedding = tensors.take("embedding.weight", num_tokens, width)
        self.model = build_model(width, tensors.within("rnn"))
        size = self.model.output_size * len(options.pooling.split("+"))
        self._layers = []
        for name, number in (("fc1", options.fc_size), ("fc2", num_outputs)):
            if number:
                weight = tensors.take(f"{name}.weight", number, size)
                self._layers.append((weight, tensors.take(f"{name}.bias", number)))
                size = number
        self._hashed = None
        if options.ngram_bits:
            self._hashed = tensors.take("ngrams.weight", 1 << options.ngram_bits, num_outputs)
        self._linear = None
        if num_ngrams is not None:
            self._linear = (
                tensors.take("linear.keys", num_ngrams, kind="int64", buffer=True),
                tensors.take("linear.idf", num_ngrams, buffer=True),
                tensors.take("linear.weight", num_ngrams, num_outputs, buffer=True),
                tensors.take("linear.bias", num_outputs, buffer=True),
            )
        self.threshold, self._temperature = 0.5, None
        if calibrated:
            self._temperature = tensors.take("temperature", buffer=True)
            self.threshold = float(tensors.take("threshold", buffer=True))
            tensors.take("linear_threshold", buffer=True)

    def outputs(self, batch: TextArrays, bias: Array) -> Array:
        """Return outputs (B, K).

        Args:
            batch: The texts.
            bias: (K,) the answer to a text of which nothing is known, with subwords.
        """
        outputs = self._recurrent(batch)
        if self._linear is not None:
            weight = np.float32(self.options.ngram_weight)
            outputs = (1 - weight) * outputs + weight * self._linear_outputs(batch)
        if self._temperature is not None:
            outputs = outputs / self._temperature
        if batch.types is not None:
            outputs = np.where(self.known(batch)[:, None] > 0, outputs, bias)
        return outputs

    def model_outputs(
        self, batch: TextArrays, *, return_outputs: bool = True
    ) -> tuple[Array, ArrayState]:
        """Return what the model returns: outputs (B, T, F), and the state."""
        table = self._embedding
        if batch.types is not None:
            table = self._token_vectors(batch.types)
        return self.model(table, batch.token_ids, batch.lengths, return_outputs=return_outputs)

    def pool(self, outputs: Array, lengths: Array, state: ArrayState) -> Array:
        """Reduce outputs over steps; see :func:`zoo.nn.pool`."""
        parts = []
        for name in self.options.pooling.split("+"):
            if name == "last":
                parts.append(self.model.readout(state))
            elif name == "mean":
                parts.append(outputs.sum(1) / lengths[:, None].astype(np.float32))
            else:
                padding = np.arange(outputs.shape[1]) >= lengths[:, None]
                parts.append(np.where(padding[..., None], np.float32(-np.inf), outputs).max(1))
        return np.concatenate(parts, axis=1)

    def known(self, batch: TextArrays) -> Array:
        """Return the share of the tokens of each text (B,) that is known."""
        if batch.types is None:
            known = batch.token_ids != UNKNOWN
        else:
            assert self._keys is not None
            _, found = find(self._keys, batch.types.units)
            sums = np.concatenate(([0], np.cumsum(found)))[batch.types.starts]
            known = (np.diff(sums) > 0)[batch.token_ids]
        mask = np.arange(known.shape[1]) < batch.lengths[:, None]
        share: Array = ((known & mask).sum(1) / batch.lengths).astype(np.float32)
        return share

    def _recurrent(self, batch: TextArrays) -> Array:
        """Return the outputs (B, K) of the recurrent part."""
        outputs, state = self.model_outputs(batch, return_outputs=self.options.pooling != "last")
        values = self.pool(outputs, batch.lengths, state)
        for number, (weight, bias) in enumerate(self._layers):
            values = np.maximum(values, 0) if number else values
            values = values @ weight.T + bias
        if self._hashed is not None:
            values = values + self._hashed_outputs(batch)
        return values

    def _token_vectors(self, types: Types) -> Array:
        """Return the vectors (U, E) of distinct tokens; see :mod:`zoo_text.embedding`."""
        assert self._keys is not None
        assert self._embedding is not None
        at, known = find(self._keys, types.units)
        starts = np.concatenate(([0], np.cumsum(known)))[types.starts]
        return sum_groups(self._embedding[at[known]], starts)

    def _hashed_outputs(self, batch: TextArrays) -> Array:
        """Return what is added by :class:`zoo_text.hashed_ngrams.HashedNGrams`."""
        assert self._hashed is not None
        token_ids, bits = batch.token_ids.astype(np.int64), self.options.ngram_bits
        keys = np.concatenate((token_ids, token_ids[:, :-1] * PAIR + token_ids[:, 1:] + 1), axis=1)
        with np.errstate(over="ignore"):
            buckets = (keys * np.int64(SIGNED_GOLDEN)) >> (64 - bits) & ((1 << bits) - 1)
        mask = np.arange(token_ids.shape[1]) < batch.lengths[:, None]
        inside = np.concatenate((mask, mask[:, 1:]), axis=1)
        ranked = np.sort(np.where(inside, buckets, 1 << bits), axis=1)
        first = ranked < 1 << bits
        first[:, 1:] &= ranked[:, 1:] != ranked[:, :-1]
        counts = first.sum(1)
        sums = sum_groups(self._hashed[ranked[first]], np.concatenate(([0], np.cumsum(counts))))
        added: Array = sums * (BUCKET_SCALE / np.sqrt(counts, dtype=np.float32))[:, None]
        return added

    def _linear_outputs(self, batch: TextArrays) -> Array:
        """Return the outputs (B, K) of :class:`zoo_text.linear.NGramLinear`."""
        assert self._linear is not None
        assert self.sizes is not None
        keys, idf, weight, bias = self._linear
        hashes, counts, segments = batch.ngrams or self.sizes.arrays(batch.texts)
        columns, known = find(keys, hashes)
        columns, segments = columns[known], segments[known]
        values = (1 + np.log(counts[known].astype(np.float32))) * idf[columns]
        size = len(batch.lengths)
        starts = np.searchsorted(segments, np.arange(2 * size + 1))
        values /= np.sqrt(sum_groups(values**2, starts))[segments]
        sums = sum_groups(weight[columns] * values[:, None], starts)
        outputs: Array = bias + sums[:size] + sums[size:]
        return outputs
