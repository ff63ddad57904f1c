"""Sampled softmax: the loss of training without the logits of the whole vocabulary."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.ragged import IntArray
from zoo_lm.log_sum_exp import log_sum_exp

# The distribution that words are drawn from is that of their frequencies to this power
# (T. Mikolov et al., arXiv:1310.4546).
POWER = 0.75


class SampledSoftmax:
    """Cross-entropy over the target and a sample of words that all positions share.

    Words of the sample have the weight 1 / (how often they are expected in it), the target has
    the weight 1. So the sum over the sample is, on average, that over all other words
    (importance sampling), and the loss is an estimate of that over the whole vocabulary, a little
    too low on average.

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
        targets = targets.contiguous()
        # A word that was drawn n times counts n times.
        drawn, times = drawn.unique(return_counts=True)
        positive = (features * nn.functional.embedding(targets, weight)).sum(2) + bias[targets]
        # A target that is in the sample would count twice.
        column = torch.searchsorted(drawn, targets).clamp_(max=len(drawn) - 1)
        column = column.where(drawn[column] == targets, -1)
        negative = log_sum_exp(
            features.flatten(0, 1),
            nn.functional.embedding(drawn, weight),
            (bias - log_expected)[drawn] + times.log(),
            column.flatten(),
        ).view(targets.shape)
        return torch.logaddexp(positive, negative) - positive
