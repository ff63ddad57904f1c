"""Sampled softmax: the loss of training without the logits of the whole vocabulary."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.ragged import IntArray
from zoo.nn import linear

# The distribution that words are drawn from is that of their frequencies to this power
# (T. Mikolov et al., arXiv:1310.4546).
POWER = 0.75


class SampledSoftmax:
    """Cross-entropy over the target and a sample of words that all positions share.

    Logits are corrected by the logarithm of how often each word is expected in the sample, so
    that the loss estimates that of the whole vocabulary. It is below it on average.

    Source: Y. Bengio and J.-S. Senecal, IEEE Trans. Neural Networks 19 (2008); S. Jean et al.,
    arXiv:1412.2007.

    Args:
        counts: (V,) how often each word occurs in the training split.
        num_sampled: Words that are drawn, with replacement.
    """

    def __init__(self, counts: IntArray, num_sampled: int) -> None:
        weights = np.maximum(counts, 1) ** POWER
        share = weights / weights.sum()
        self._cumulative = torch.from_numpy(np.cumsum(share))
        self._log_expected = torch.from_numpy(np.log(share * num_sampled)).float()
        self._num_sampled = num_sampled

    def losses(self, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        """Return the losses (B, T) in nats.

        The sample is drawn from torch's global generator.

        Args:
            features: (B, T, E).
            weight: (V, E) the vectors of words.
            bias: (V,).
            targets: (B, T) the words that follow.
        """
        self._cumulative = self._cumulative.to(features.device)
        self._log_expected = log_expected = self._log_expected.to(features.device)
        uniform = torch.rand(self._num_sampled, dtype=torch.float64, device=features.device)
        drawn = torch.searchsorted(self._cumulative, uniform).clamp_(max=len(bias) - 1)
        vectors = nn.functional.embedding(targets, weight)
        positive = (features * vectors).sum(2) + (bias - log_expected)[targets]
        negative = linear(
            features, nn.functional.embedding(drawn, weight), (bias - log_expected)[drawn]
        )
        # A target that is in the sample would count twice.
        negative = negative.masked_fill(targets[..., None] == drawn, -torch.inf)
        return torch.logaddexp(positive, negative.logsumexp(2)) - positive
