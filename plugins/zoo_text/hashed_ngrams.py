"""A hashed linear model of words and word pairs, trained together with the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.nn import length_mask
from zoo_text.hashing import BUCKET_SCALE, PAIR, SIGNED_GOLDEN


class HashedNGrams(nn.Embedding):
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
        buckets = self.buckets(token_ids)
        # Sorted, with padding at the end, so that a bucket counts once however often it occurs.
        ranked = buckets.masked_fill(~torch.cat((mask, mask[:, 1:]), dim=1), 1 << self.bits)
        ranked = ranked.sort(dim=1).values
        first = ranked < 1 << self.bits
        first[:, 1:] &= ranked[:, 1:] != ranked[:, :-1]
        weights = super().forward(ranked.masked_fill(~first, 0)) * first[..., None]
        return weights.sum(1) * (BUCKET_SCALE / first.sum(1, keepdim=True).sqrt())

    def buckets(self, token_ids: Tensor) -> Tensor:
        """Return the buckets (B, 2 T - 1) of the T tokens of each row, then of the pairs."""
        keys = torch.cat((token_ids, token_ids[:, :-1] * PAIR + token_ids[:, 1:] + 1), dim=1)
        return (keys * SIGNED_GOLDEN) >> (64 - self.bits) & ((1 << self.bits) - 1)

    def shares(self, token_ids: Tensor, output: int) -> Tensor:
        """Return what each token (T,) of one text adds to an output; their sum is exact.

        What a bucket adds is divided equally among the tokens and pairs that fall into it, and
        that of a pair among its two tokens.

        Args:
            token_ids: (T,), without padding.
            output: Which of the K outputs.
        """
        length = len(token_ids)
        buckets, index, counts = self.buckets(token_ids[None])[0].unique(
            return_inverse=True, return_counts=True
        )
        added = self.weight[buckets, output].double() * (BUCKET_SCALE / len(buckets) ** 0.5)
        each: Tensor = (added / counts)[index]
        singles, pairs = each[:length], each[length:] / 2
        singles[:-1] += pairs
        singles[1:] += pairs
        return singles
