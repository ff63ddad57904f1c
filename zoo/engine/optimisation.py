"""How parameters move: optimisers, step-size schedules, clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from zoo.config import Training

# One-cycle (L. Smith, arXiv:1708.07120): rise from a 25th of the peak over the first 30 %, then
# fall along a cosine to a 250,000th of it.
ONE_CYCLE_RISE, ONE_CYCLE_FIRST, ONE_CYCLE_LAST = 0.3, 1 / 25, 1 / 250_000
PLATEAU_FACTOR, PLATEAU_PATIENCE = 0.5, 1


def optimiser(network: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Return the optimiser of a network's parameters.

    Fused updates visit each parameter once, which is what a large embedding table waits for.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, rate, momentum=training.momentum, weight_decay=decay, fused=True
        )
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, rate, betas=(0.9, training.beta2), weight_decay=decay, fused=True)


def rate_factor(training: Training, progress: float) -> float:
    """Return what the peak step size is multiplied by.

    Args:
        training: Names the schedule and the warm-up.
        progress: Share of the training that is done, from 0 to 1.
    """
    if training.schedule == "one-cycle":
        rise = training.warmup or ONE_CYCLE_RISE
        if progress < rise:
            return _cosine(ONE_CYCLE_FIRST, 1.0, progress / rise)
        return _cosine(1.0, ONE_CYCLE_LAST, (progress - rise) / max(1 - rise, 1e-9))
    if progress < training.warmup:
        return progress / training.warmup
    share = (progress - training.warmup) / max(1 - training.warmup, 1e-9)
    if training.schedule == "linear":
        return 1.0 - share
    if training.schedule == "cosine":
        return _cosine(1.0, 0.0, share)
    return 1.0


class Plateau:
    """Halves the step size when validation has not improved for two evaluations."""

    def __init__(self) -> None:
        self.factor = 1.0
        self.stale = 0

    def see(self, improved: bool) -> None:
        """Take note of an evaluation."""
        self.stale = 0 if improved else self.stale + 1
        if self.stale > PLATEAU_PATIENCE:
            self.factor *= PLATEAU_FACTOR
            self.stale = 0


def clip(parameters: Iterable[nn.Parameter], training: Training) -> None:
    """Clip gradients by element and by global norm, as configured.

    Source: R. Pascanu et al., arXiv:1211.5063 (2012), section 3.2, for the norm.
    """
    parameters = list(parameters)
    if training.clip_value:
        nn.utils.clip_grad_value_(parameters, training.clip_value)
    if training.clip_norm:
        nn.utils.clip_grad_norm_(parameters, training.clip_norm)


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
