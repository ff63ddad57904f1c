"""The network around a causal model that predicts the next character."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.interfaces import MakeModel, State
from zoo.layers import Linear


class Predictor(nn.Module):
    """Embedding -> dropout -> model -> dropout -> Linear.

    Args:
        make_model: Builds the model.
        characters: Size of the alphabet.
        embed_size: Numbers in a character's vector; 0: characters are one-hot vectors.
        embed_dropout: Share of embedded numbers dropped in training.
        dropout: Share of the model's outputs dropped in training.
    """

    def __init__(
        self,
        make_model: MakeModel,
        *,
        characters: int,
        embed_size: int,
        embed_dropout: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, embed_size) if embed_size else None
        self.rnn = make_model(embed_size or characters)
        self.fc = Linear(self.rnn.output_size, characters)
        self.embed_dropout = embed_dropout
        self.dropout = dropout

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return logits (B, T, characters) of character numbers (B, T), and the state."""
        values = inputs
        if self.embedding is not None:
            values = self.embedding(inputs)
            values = nn.functional.dropout(values, self.embed_dropout, self.training)
        outputs, end = self.rnn(values, lengths, state)
        outputs = nn.functional.dropout(outputs, self.dropout, self.training)
        return self.fc(outputs), end

    def table(self) -> Tensor:
        """Return (characters, input_size): every vector that the model can be given."""
        if self.embedding is not None:
            return self.embedding.weight
        return torch.eye(self.fc.out_features, device=self.fc.weight.device)
