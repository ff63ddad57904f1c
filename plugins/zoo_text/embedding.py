"""Vectors of tokens as sums of vectors of their parts."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SubwordEmbedding(nn.Module):
    """Vectors of tokens: the sum of the rows of their units that are known.

    Args:
        num_units: Rows.
        embedding_dim: Size of a vector.
    """

    keys: Tensor

    def __init__(self, num_units: int, embedding_dim: int) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.register_buffer("keys", torch.zeros(num_units, dtype=torch.int64))
        # The last row is that of units which are not known, and stays zero.
        self.weight = nn.Parameter(torch.zeros(num_units + 1, embedding_dim))

    def rows(self, units: Tensor) -> Tensor:
        """Return the row of each unit; that of an unknown one is the last."""
        last = len(self.keys)
        if not last:
            return torch.zeros_like(units)
        at = torch.searchsorted(self.keys, units).clamp(max=last - 1)
        return at.where(self.keys[at] == units, torch.full_like(at, last))

    def forward(self, units: Tensor, starts: Tensor) -> Tensor:
        """Return the vectors (U, embedding_dim) of U tokens.

        Args:
            units: (N,) hashes of their units, token after token.
            starts: (U + 1,) where each token's units start.
        """
        return nn.functional.embedding_bag(
            self.rows(units), self.weight, starts, mode="sum", include_last_offset=True,
            padding_idx=len(self.keys),
        )  # fmt: skip

    def known(self, units: Tensor, starts: Tensor) -> Tensor:
        """Return which tokens (U,) have a unit that is known."""
        found = (self.rows(units) != len(self.keys)).long()
        sums = torch.cat((found.new_zeros(1), found.cumsum(0)))
        return sums[starts[1:]] > sums[starts[:-1]]
