"""The bidirectional language model task: texts in, the words after and before each word out.

Source: M. Peters et al., *Deep contextualized word representations*, NAACL 2018, section 3.1: a
forward and a backward language model are trained together and share the vectors of words and the
output layer.
"""

from __future__ import annotations

import torch
from torch import nn

from zoo.interfaces import Batch, State, Step
from zoo_lm.bidirectional_network import BidirectionalPredictor
from zoo_lm.metrics import sum_losses
from zoo_lm.options import WordBiLMOptions
from zoo_lm.word_base import WordTask


class WordBiLM(WordTask[WordBiLMOptions]):
    """Predicts, at every word, the word after it from those before, and the word before from after.

    No state is carried from one batch to the next, as one direction comes from what follows.

    Args:
        options: See ``zoo show word-bilm``.
    """

    predictor = BidirectionalPredictor

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        """Compute the mean of the losses of both directions, for the same number of words each."""
        del state
        assert isinstance(network, BidirectionalPredictor)
        tokens = torch.cat((batch.inputs, batch.targets[:, -1:]), 1)
        features, _ = network.features(tokens, batch.lengths + 1)
        # T of T + 1 words: all but the first from those before, all but the last from those after.
        both = torch.cat((features[:, :-1, 0], features[:, 1:, 1]))
        losses, _ = self.losses(network, both, torch.cat((batch.targets, batch.inputs)))
        losses = losses.view(2, *batch.targets.shape).mean(0)
        sums = sum_losses(losses.detach())
        return Step(losses.mean(), {**sums, **self.count(batch.targets)})
