"""The network around a model that labels a text: embedding, model, pooling, two linear layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.interfaces import BuildModel, HasReadout, State
from zoo.nn import OneHot, forward_embedded, length_mask, pool
from zoo_sentiment.options import SentimentOptions
from zoo_sentiment.vocabulary import PAD, UNKNOWN

# Fibonacci hashing (D. Knuth, The Art of Computer Programming 3, section 6.4): 2^64 / golden ratio,
# as a signed integer; the highest bits of the product are the bucket.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_PAIR = 65_537
# Weights are this much smaller than what they add to a logit, so that one learning rate suits both
# them and the rest of the network.
_SCALE = 10.0


class NGrams(nn.Embedding):
    """A linear model of the words and word pairs of a text, hashed into a table (the wide part).

    Adds ``10 / sqrt(n) * sum of weight[bucket]`` over the n distinct buckets of the text. A token
    id w has the bucket of w, a pair v w that of ``65537 v + w + 1``. Source: H.-T. Cheng et al.,
    arXiv:1606.07792 (wide and deep); K. Weinberger et al., arXiv:0902.2206 (hashing).

    Args:
        bits: The table has 2^bits rows.
        num_logits: K.
    """

    def __init__(self, bits: int, num_logits: int) -> None:
        super().__init__(1 << bits, num_logits)
        nn.init.zeros_(self.weight)
        self.bits = bits

    def forward(self, token_ids: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        """Return what is added to the logits (B, K) of token ids (B, T)."""
        mask = length_mask(lengths, token_ids.shape[1])
        keys = torch.cat((token_ids, token_ids[:, :-1] * _PAIR + token_ids[:, 1:] + 1), dim=1)
        buckets = (keys * _GOLDEN) >> (64 - self.bits) & ((1 << self.bits) - 1)
        # Sorted, with padding at the end, so that a bucket counts once however often it occurs.
        ranked = buckets.masked_fill(~torch.cat((mask, mask[:, 1:]), dim=1), 1 << self.bits)
        ranked = ranked.sort(dim=1).values
        first = ranked < 1 << self.bits
        first[:, 1:] &= ranked[:, 1:] != ranked[:, :-1]
        weights = super().forward(ranked.masked_fill(~first, 0)) * first[..., None]
        return weights.sum(1) * (_SCALE / first.sum(1, keepdim=True).sqrt())


class Classifier(nn.Module):
    """Embedding -> model -> pooling -> Linear -> ReLU -> Linear, and NGrams beside it.

    Args:
        build_model: Builds the model.
        options: The task's options.
        num_words: V, the size of the vocabulary.
        num_logits: K: 1 for two labels, else one for each label.
    """

    def __init__(
        self, build_model: BuildModel, options: SentimentOptions, num_words: int, num_logits: int
    ) -> None:
        super().__init__()
        self.options = options
        self.embedding: nn.Embedding | OneHot
        if options.input == "onehot":
            self.embedding = OneHot(num_words)
        else:
            self.embedding = nn.Embedding(num_words, options.embed_size, padding_idx=PAD)
            self.embedding.weight.data.mul_(options.embed_std)
        self.rnn = build_model(self.embedding.embedding_dim)
        pooled_size = self.rnn.output_size * len(options.pooling.split("+"))
        self.fc1 = nn.Linear(pooled_size, options.fc_size)
        self.fc2 = nn.Linear(options.fc_size, num_logits)
        self.ngrams = NGrams(options.ngram_bits, num_logits) if options.ngram_bits else None

    def forward(
        self, token_ids: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return logits (B, K) of token ids (B, T), and the model's state."""
        # What is read out of the state needs no outputs.
        return_outputs = self.options.pooling != "last" or not isinstance(self.rnn, HasReadout)
        outputs, end = self.model_outputs(token_ids, lengths, state, return_outputs=return_outputs)
        pooled = pool(self.rnn, outputs, lengths, end, self.options.pooling)
        pooled = nn.functional.dropout(pooled, self.options.dropout, self.training)
        logits = self.fc2(self.fc1(pooled).relu())
        if self.ngrams is not None:
            logits = logits + self.ngrams(token_ids, lengths)
        return logits, end

    def model_outputs(
        self,
        token_ids: Tensor,
        lengths: Tensor,
        state: State | None = None,
        *,
        return_outputs: bool = True,
    ) -> tuple[Tensor, State]:
        """Return what the model returns for token ids (B, T): outputs (B, T, F), and the state.

        Outputs may be empty where ``return_outputs`` is False.
        """
        if self.training and self.options.word_dropout:
            dropped = torch.rand(token_ids.shape, device=token_ids.device)
            dropped = dropped < self.options.word_dropout
            token_ids = token_ids.masked_fill(dropped & (token_ids != PAD), UNKNOWN)
        if self.training and isinstance(self.embedding, nn.Embedding):
            vectors = self.embedding(token_ids)
            vectors = nn.functional.dropout(vectors, self.options.embed_dropout, self.training)
            result: tuple[Tensor, State] = self.rnn(vectors, lengths, state)
            return result
        return forward_embedded(
            self.rnn, self.embedding, token_ids, lengths, state, return_outputs=return_outputs
        )
