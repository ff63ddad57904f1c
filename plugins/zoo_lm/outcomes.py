"""The loss of every character of a split; see :class:`zoo.interfaces.Outcomes`."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from zoo.interfaces import Outcomes, Split, State


@torch.inference_mode()
def of_characters(network: nn.Module, split: Split) -> Outcomes:
    """Return the token ids and their losses in nats, with carried state, as in an evaluation."""
    network.eval()
    device = next(network.parameters()).device
    state: State | None = None
    losses, targets = [], []
    for batch in split.eval_batches():
        moved = batch.to(device)
        logits, state = network(moved.inputs, moved.lengths, None if batch.reset_state else state)
        found = nn.functional.cross_entropy(
            logits.flatten(0, 1), moved.targets.flatten(), reduction="none"
        )
        losses.append(found.double().cpu().numpy())
        targets.append(batch.targets.flatten().numpy())
    return Outcomes("tokens", (), np.concatenate(targets), None, np.concatenate(losses))
