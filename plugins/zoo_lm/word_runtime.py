"""The word language model by NumPy: generates and embeds without torch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from itertools import pairwise

import numpy as np

from zoo.arrays import log_softmax
from zoo.interfaces import (
    Array,
    ArrayDecodeStep,
    ArrayState,
    BuildRuntimeModel,
    RuntimeModel,
    Tensors,
)
from zoo_lm.options import WordLMOptions
from zoo_lm.runtime import KNOWN_OPTIONS, LanguageModel, TokenPredictor
from zoo_lm.words import ADAPTIVE_DIVISOR, SPECIALS, Words, adaptive_cutoffs
from zoo_text.vocabulary import PAD, UNKNOWN


class WordPredictor(TokenPredictor):
    """What :class:`zoo_lm.word_network.WordPredictor` is, of arrays.

    Args:
        embedding: (V, E).
        model: The model.
        tensors: The parameters.
    """

    embedding: Array

    def __init__(self, embedding: Array, model: RuntimeModel, tensors: Tensors) -> None:
        super().__init__(embedding, model)
        size, width = embedding.shape[1], model.output_size
        self.weight = tensors.take("projection.weight", size, width)
        self.bias = tensors.take("projection.bias", size)

    def logits(self, outputs: Array) -> Array:
        """Return logits (..., V) of outputs (..., F) of the model."""
        return self.word_logits(outputs @ self.weight.T + self.bias)

    @abstractmethod
    def word_logits(self, features: Array) -> Array:
        """Return logits (..., V) of features (..., E)."""

    def decode_step(self) -> ArrayDecodeStep:
        """Return the function of :meth:`TokenPredictor.decode_step`; it draws known words alone."""
        predict = super().decode_step()

        def predict_known(token_ids: Array, state: ArrayState | None) -> tuple[Array, ArrayState]:
            logits, end = predict(token_ids, state)
            logits[:, [PAD, UNKNOWN]] = -np.inf
            return logits, end

        return predict_known


class TiedPredictor(WordPredictor):
    """Logits are products with the vectors of the embedding; arguments as of the base."""

    def __init__(self, embedding: Array, model: RuntimeModel, tensors: Tensors) -> None:
        super().__init__(embedding, model, tensors)
        self.word_bias = tensors.take("bias", len(embedding))

    def word_logits(self, features: Array) -> Array:
        """Return logits (..., V) of features (..., E)."""
        found: Array = features @ self.embedding.T + self.word_bias
        return found


class AdaptivePredictor(WordPredictor):
    """Logits of the adaptive softmax; arguments as of the base.

    They are logarithms of probabilities, as of ``torch.nn.AdaptiveLogSoftmaxWithLoss.log_prob``:
    those of frequent words and of clusters of others, and, in each cluster, of its words.
    """

    def __init__(self, embedding: Array, model: RuntimeModel, tensors: Tensors) -> None:
        super().__init__(embedding, model, tensors)
        num_words, size = embedding.shape
        adaptive = tensors.within("adaptive")
        edges = [*adaptive_cutoffs(num_words), num_words]
        self.num_frequent = edges[0]
        self.head = adaptive.take("head.weight", edges[0] + len(edges) - 1, size)
        self.clusters: list[tuple[Array, Array]] = []
        for number, (first, end) in enumerate(pairwise(edges)):
            inner = size // ADAPTIVE_DIVISOR ** (number + 1)
            down = adaptive.take(f"tail.{number}.0.weight", inner, size)
            up = adaptive.take(f"tail.{number}.1.weight", end - first, inner)
            self.clusters.append((down, up))

    def word_logits(self, features: Array) -> Array:
        """Return logits (..., V) of features (..., E)."""
        head = log_softmax(features @ self.head.T)
        parts = [head[..., : self.num_frequent]]
        for number, (down, up) in enumerate(self.clusters, self.num_frequent):
            parts.append(log_softmax(features @ down.T @ up.T) + head[..., number, None])
        return np.concatenate(parts, axis=-1)


class WordLM(Words, LanguageModel):
    """See :class:`zoo_lm.word_task.WordLM`.

    Args:
        options: See ``zoo show word-lm``.
    """

    known_options: Collection[str] = {
        *KNOWN_OPTIONS, "softmax",
        # In training alone, or of the data:
        "more_data", "text_column", "max_vocab", "min_count", "num_sampled",
    }  # fmt: skip

    def __init__(self, options: WordLMOptions) -> None:
        self.options = options
        self._set_vocabulary(list(SPECIALS))

    def network(self, build_model: BuildRuntimeModel, tensors: Tensors) -> WordPredictor:
        """Return the network; see :class:`zoo.interfaces.RuntimeTask`."""
        size = self.options.embed_size
        embedding = tensors.take("embedding.weight", len(self.words), size)
        model = build_model(size, tensors.within("rnn"))
        kind = AdaptivePredictor if self.options.softmax == "adaptive" else TiedPredictor
        return kind(embedding, model, tensors)
