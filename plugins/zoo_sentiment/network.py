"""The network around a model that labels a text: embedding, model, pooling, two linear layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.interfaces import MakeModel, State
from zoo.layers import pool, real

PAD, UNKNOWN = 0, 1


# Fibonacci hashing (D. Knuth, The Art of Computer Programming 3, section 6.4): 2^64 / golden ratio,
# as a signed number; the topmost bits of the product are the bucket.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_PAIR = 65_537
# The table's numbers are this much smaller than what they add to a logit, so that one step size
# suits both it and the network.
_SCALE = 10.0


class NGrams(nn.Embedding):
    """A linear path over the words and word pairs of a text, hashed into a table: the wide part.

    Adds ``10 / sqrt(n) * sum of weight[bucket]`` over the n distinct buckets of the text. A word w
    has the bucket of w, a pair v w that of ``65537 v + w + 1``. Source: H.-T. Cheng et al.,
    arXiv:1606.07792 (wide and deep); K. Weinberger et al., arXiv:0902.2206 (hashing).

    Args:
        bits: The table has 2^bits rows.
        answers: Logits.
    """

    def __init__(self, bits: int, answers: int) -> None:
        super().__init__(1 << bits, answers)
        nn.init.zeros_(self.weight)
        self.bits = bits

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        """Return what to add to the logits (B, answers) of word numbers (B, T)."""
        steps = real(lengths, inputs.shape[1])
        keys = torch.cat((inputs, inputs[:, :-1] * _PAIR + inputs[:, 1:] + 1), dim=1)
        buckets = (keys * _GOLDEN) >> (64 - self.bits) & ((1 << self.bits) - 1)
        # Sorted, with padding at the end, so that a bucket counts once however often it occurs.
        ranked = buckets.masked_fill(~torch.cat((steps, steps[:, 1:]), dim=1), 1 << self.bits)
        ranked = ranked.sort(dim=1).values
        first = ranked < 1 << self.bits
        first[:, 1:] &= ranked[:, 1:] != ranked[:, :-1]
        weights = super().forward(ranked.masked_fill(~first, 0)) * first[..., None]
        return weights.sum(1) * (_SCALE / first.sum(1, keepdim=True).sqrt())


class Classifier(nn.Module):
    """Embedding -> model -> pooling -> Linear -> ReLU -> Linear, and a wide part beside it.

    Args:
        make_model: Builds the model.
        words: Size of the vocabulary.
        answers: Logits: 1 for two labels, else one a label.
        embed_size: Numbers in a word's vector; 0: words are one-hot vectors.
        embed_std: Spread of fresh word vectors.
        fc_size: Units between pooling and logits.
        pooling: How outputs become one vector.
        ngram_bits: Size of the wide part, as a power of two; 0: none.
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
        embed_std: float,
        fc_size: int,
        pooling: str,
        ngram_bits: int,
        word_dropout: float,
        embed_dropout: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embed_size, padding_idx=PAD) if embed_size else None
        if self.embedding is not None:
            self.embedding.weight.data.mul_(embed_std)
        self.rnn = make_model(embed_size or words)
        self.fc1 = nn.Linear(self.rnn.output_size * len(pooling.split("+")), fc_size)
        self.fc2 = nn.Linear(fc_size, answers)
        self.ngrams = NGrams(ngram_bits, answers) if ngram_bits else None
        self.pooling = pooling
        self.word_dropout = word_dropout
        self.embed_dropout = embed_dropout
        self.dropout = dropout

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return logits (B, answers) of word numbers (B, T), and the model's state."""
        outputs, end = self._read(inputs, lengths, state)
        pooled = pool(self.rnn, outputs, lengths, end, self.pooling)
        pooled = nn.functional.dropout(pooled, self.dropout, self.training)
        logits = self.fc2(self.fc1(pooled).relu())
        if self.ngrams is not None:
            logits = logits + self.ngrams(inputs, lengths)
        return logits, end

    def _read(self, inputs: Tensor, lengths: Tensor, state: State | None) -> tuple[Tensor, State]:
        look_up = getattr(self.rnn, "look_up", None)
        if look_up is not None and self.embedding is not None and not self.training:
            # Sooner than vectors and outputs that are written out, to be read once.
            wanted = self.pooling != "last"
            found: tuple[Tensor, State] = look_up(
                self.embedding.weight, inputs, lengths, state, want_outputs=wanted
            )
            return found
        values = inputs
        if self.training and self.word_dropout:
            dropped = torch.rand(inputs.shape, device=inputs.device) < self.word_dropout
            values = inputs.masked_fill(dropped & (inputs != PAD), UNKNOWN)
        if self.embedding is not None:
            values = self.embedding(values)
            values = nn.functional.dropout(values, self.embed_dropout, self.training)
        return self.rnn(values, lengths, state)
