"""The network: vectors of words, the model, scores of tags at every step, and what they mean."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.interfaces import BuildModel
from zoo_crf.crf import IndependentSoftmax, LinearChainCRF
from zoo_crf.encoding import PAD, UNKNOWN
from zoo_crf.options import NEROptions
from zoo_crf.spans import allowed


class NERNetwork(nn.Module):
    """Embeddings -> model -> Linear -> CRF.

    The vector of a word is the sum of its own and of those of its features, which unknown words
    have as well.

    Args:
        build_model: Builds the model.
        options: The task's options.
        num_words: Size of the vocabulary.
        tags: The K tags.
    """

    def __init__(
        self, build_model: BuildModel, options: NEROptions, num_words: int, tags: list[str]
    ) -> None:
        super().__init__()
        self.options = options
        self.embedding = nn.Embedding(num_words, options.embed_size, padding_idx=PAD)
        self.features = nn.EmbeddingBag(options.buckets, options.embed_size, mode="sum")
        for embedding in (self.embedding, self.features):
            nn.init.normal_(embedding.weight, std=0.1)
        self.rnn = build_model(options.embed_size)
        self.fc = nn.Linear(self.rnn.output_size, len(tags))
        self.output: IndependentSoftmax | LinearChainCRF
        if options.output == "softmax":
            self.output = IndependentSoftmax()
        else:
            constrained = options.output == "constrained-crf"
            self.output = LinearChainCRF(
                len(tags), allowed(tags, options.scheme) if constrained else None
            )

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return emissions (B, T, K).

        Args:
            inputs: (B, T, 1 + F) the token id of each word, and its hashed features.
            lengths: (B,).
        """
        token_ids, features = inputs[..., 0], inputs[..., 1:]
        if self.training:
            dropped = torch.rand(token_ids.shape, device=inputs.device) < self.options.word_dropout
            token_ids = token_ids.masked_fill(dropped & (token_ids != PAD), UNKNOWN)
        vectors = self.features(features.flatten(0, 1)).unflatten(0, token_ids.shape)
        outputs, _ = self.rnn(self._drop(self.embedding(token_ids) + vectors), lengths)
        emissions: Tensor = self.fc(self._drop(outputs))
        return emissions

    def _drop(self, values: Tensor) -> Tensor:
        return nn.functional.dropout(values, self.options.dropout, self.training)
