"""The network around a model that labels a text: embedding, model, pooling, two linear layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.interfaces import MakeModel, State
from zoo.layers import pool

PAD, UNKNOWN = 0, 1


class Classifier(nn.Module):
    """Embedding -> model -> pooling -> Linear -> ReLU -> Linear.

    Args:
        make_model: Builds the model.
        words: Size of the vocabulary.
        answers: Logits: 1 for two labels, else one a label.
        embed_size: Numbers in a word's vector; 0: words are one-hot vectors.
        fc_size: Units between pooling and logits.
        pooling: How outputs become one vector.
        word_dropout: Share of words made unknown in training.
        embed_dropout: Share of embedded numbers dropped in training.
        dropout: Share of pooled numbers dropped in training.
    """

    def __init__(
        self,
        make_model: MakeModel,
        *,
        words: int,
        answers: int,
        embed_size: int,
        fc_size: int,
        pooling: str,
        word_dropout: float,
        embed_dropout: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embed_size, padding_idx=PAD) if embed_size else None
        self.rnn = make_model(embed_size or words)
        self.fc1 = nn.Linear(self.rnn.output_size * len(pooling.split("+")), fc_size)
        self.fc2 = nn.Linear(fc_size, answers)
        self.pooling = pooling
        self.word_dropout = word_dropout
        self.embed_dropout = embed_dropout
        self.dropout = dropout

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return logits (B, answers) of word numbers (B, T), and the model's state."""
        if self.training and self.word_dropout:
            dropped = torch.rand(inputs.shape, device=inputs.device) < self.word_dropout
            inputs = inputs.masked_fill(dropped & (inputs != PAD), UNKNOWN)
        values = inputs
        if self.embedding is not None:
            values = self.embedding(inputs)
            values = nn.functional.dropout(values, self.embed_dropout, self.training)
        outputs, end = self.rnn(values, lengths, state)
        pooled = pool(self.rnn, outputs, lengths, end, self.pooling)
        pooled = nn.functional.dropout(pooled, self.dropout, self.training)
        return self.fc2(self.fc1(pooled).relu()), end
