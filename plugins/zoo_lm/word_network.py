"""The network of the word language model: the output layer shares the embedding's weights."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.interfaces import BuildModel, DecodeStep, State
from zoo.nn import Linear, linear
from zoo_lm.network import TokenPredictor
from zoo_lm.options import WordOptions
from zoo_lm.words import ADAPTIVE_DIVISOR, adaptive_cutoffs
from zoo_text.vocabulary import PAD, UNKNOWN


class WordPredictor(TokenPredictor):
    """A predictor of the next word. Its logits are products with the vectors of the embedding.

    Source: H. Inan, K. Khosravi and R. Socher, arXiv:1611.01462, and O. Press and L. Wolf,
    arXiv:1608.05859, for the tied weights; E. Grave et al., arXiv:1609.04309, for the adaptive
    softmax, which has weights of its own.

    Args:
        build_model: Builds the model.
        options: The task's options.
        num_words: V, the size of the vocabulary, words in order of decreasing frequency.
    """

    num_directions: ClassVar[int] = 1

    def __init__(self, build_model: BuildModel, options: WordOptions, num_words: int) -> None:
        size = options.embed_size
        embedding = nn.Embedding(num_words, size)
        # Vectors of length one, so that the first logits are small.
        nn.init.normal_(embedding.weight, std=size**-0.5)
        super().__init__(build_model, options, embedding)
        self.projection = Linear(self.rnn.output_size // self.num_directions, size)
        self.adaptive: nn.AdaptiveLogSoftmaxWithLoss | None = None
        if options.softmax == "adaptive":
            self.adaptive = nn.AdaptiveLogSoftmaxWithLoss(
                size, num_words, adaptive_cutoffs(num_words), div_value=ADAPTIVE_DIVISOR
            )
        else:
            self.bias = nn.Parameter(torch.zeros(num_words))

    def project(self, outputs: Tensor) -> Tensor:
        """Return features (..., E) of the model's outputs (..., F)."""
        features: Tensor = self.projection(outputs)
        return features

    def logits(self, features: Tensor) -> Tensor:
        """Return logits (..., V) of features (..., E)."""
        if self.adaptive is not None:
            rows = self.adaptive.log_prob(features.flatten(0, -2))
            return rows.view(*features.shape[:-1], -1)
        assert isinstance(self.embedding, nn.Embedding)
        return linear(features, self.embedding.weight, self.bias)

    def decode_step(self) -> DecodeStep:
        """Return the function of :meth:`TokenPredictor.decode_step`; it draws known words alone."""
        predict = super().decode_step()

        def predict_known(token_ids: Tensor, state: State | None) -> tuple[Tensor, State]:
            logits, end = predict(token_ids, state)
            logits[:, [PAD, UNKNOWN]] = -torch.inf
            return logits, end

        return predict_known
