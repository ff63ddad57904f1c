"""The network around a causal model that predicts the next token."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from zoo.interfaces import BuildModel, DecodeStep, State
from zoo.nn import Embedding, decode_step, dropout, forward_embedded, locked_dropout
from zoo_lm.options import CorpusOptions

# Logits that are computed at once where nothing but the loss needs them: 64 MiB of float32.
_MAX_LOGITS = 1 << 24


class TokenPredictor(nn.Module, ABC):
    """Embedding -> dropout -> model -> dropout -> output layer.

    Args:
        build_model: Builds the model.
        options: The task's options.
        embedding: Gives a vector for each token.
    """

    def __init__(
        self, build_model: BuildModel, options: CorpusOptions, embedding: Embedding
    ) -> None:
        super().__init__()
        self.options = options
        self.embedding: Embedding = embedding
        self.rnn = build_model(embedding.embedding_dim)

    @abstractmethod
    def logits(self, features: Tensor) -> Tensor:
        """Return logits (..., V) of features (..., D)."""

    def project(self, outputs: Tensor) -> Tensor:
        """Return features (..., D) of the model's outputs (..., F); here they are the same."""
        return outputs

    def forward(
        self, token_ids: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return logits (B, T, V) of token ids (B, T), and the state after each row."""
        features, end = self.features(token_ids, lengths, state)
        return self.logits(features), end

    def features(
        self, token_ids: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return what logits are computed from (B, T, D), and the state after each row."""
        outputs, end = self.model_outputs(token_ids, lengths, state)
        outputs = self._drop(outputs, self.options.dropout)
        return self.project(outputs), end

    def _drop(self, values: Tensor, probability: float) -> Tensor:
        """Drop values (B, T, F) in training.

        Source: Y. Gal and Z. Ghahramani, arXiv:1512.05287 (2016), where dropout is locked.
        """
        if self.options.locked_dropout:
            return locked_dropout(values, probability, self.training)
        return dropout(values, probability, self.training)

    def losses(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy (B, T) over the vocabulary, in nats, a block of steps at a time.

        Args:
            features: (B, T, D).
            targets: (B, T) the tokens that follow.
        """
        steps = max(1, _MAX_LOGITS // (self.embedding.num_embeddings * len(features)))
        parts = []
        for some, following in zip(features.split(steps, 1), targets.split(steps, 1), strict=True):
            flat = self.logits(some).flatten(0, 1)
            found = nn.functional.cross_entropy(flat, following.flatten(), reduction="none")
            parts.append(found.view(following.shape))
        return torch.cat(parts, 1)

    def model_outputs(
        self, token_ids: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return what the model returns for token ids (B, T): outputs (B, T, F), and the state."""
        if self.training and isinstance(self.embedding, nn.Embedding):
            vectors = self._drop(self.embedding(token_ids), self.options.embed_dropout)
            result: tuple[Tensor, State] = self.rnn(vectors, lengths, state)
            return result
        return forward_embedded(self.rnn, self.embedding, token_ids, lengths, state)

    def decode_step(self) -> DecodeStep:
        """Return a function from token ids (N,) and a state to logits (N, V) and the next state.

        It computes with the weights as they are now, and without dropout.
        """
        step = decode_step(self.rnn, self.embedding)

        def predict(token_ids: Tensor, state: State | None) -> tuple[Tensor, State]:
            outputs, end = step(token_ids, state)
            return self.logits(self.project(outputs)), end

        return predict
