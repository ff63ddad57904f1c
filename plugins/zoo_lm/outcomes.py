"""The loss of every token of a split; see :class:`zoo.interfaces.Outcomes`."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from zoo.interfaces import Outcomes, Split, State
from zoo_lm.network import TokenPredictor


@torch.inference_mode()
def of_tokens(network: nn.Module, split: Split) -> Outcomes:
    """Return the token ids and their losses in nats, with carried state, as in an evaluation."""
    assert isinstance(network, TokenPredictor)
    network.eval()
    device = next(network.parameters()).device
    state: State | None = None
    losses, targets = [], []
    for batch in split.eval_batches():
        moved = batch.to(device)
        features, state = network.features(
            moved.inputs, moved.lengths, None if batch.reset_state else state
        )
        found = network.losses(features, moved.targets)
        losses.append(found.flatten().double().cpu().numpy())
        targets.append(batch.targets.flatten().numpy())
    return Outcomes("tokens", (), np.concatenate(targets), None, np.concatenate(losses))
