"""Metrics of a language model, from sums over batches."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.interfaces import Metrics, MetricSums
from zoo.intervals import mean_interval

# The losses of neighbouring tokens are correlated, so the interval is computed over means of
# blocks of about this many.
BLOCK_STEPS = 32


def sum_losses(losses: Tensor) -> dict[str, Tensor]:
    """Return the sums of losses (B, T) that :func:`compute_metrics` needs."""
    # Every token is in a block, so that the interval contains the loss.
    blocks = losses.double().tensor_split(max(1, losses.shape[1] // BLOCK_STEPS), dim=1)
    means = torch.cat([block.mean(1) for block in blocks])
    return {
        "loss": losses.double().sum(),
        "examples": torch.tensor(losses.numel()),
        "block_sum": means.sum(),
        "block_squares": (means * means).sum(),
        "blocks": torch.tensor(len(means)),
    }


def compute_metrics(metric_sums: MetricSums) -> Metrics:
    """Return loss in nats a token, its 95 % interval, bits a character and perplexity a token.

    A text of fewer than two blocks has no interval. Where sums have no number of characters,
    tokens are characters.
    """
    examples = float(metric_sums["examples"])
    loss = float(metric_sums["loss"]) / examples
    characters = float(metric_sums.get("characters", examples)) or 1.0
    interval = {}
    if (blocks := float(metric_sums["blocks"])) >= 2:
        total, squares = float(metric_sums["block_sum"]), float(metric_sums["block_squares"])
        low, high = mean_interval(total, squares, blocks)
        interval = {"loss_low": low, "loss_high": high}
    return {
        "examples": int(examples),
        "loss": loss,
        **interval,
        "bits_per_character": loss * (examples / characters) / math.log(2),
        "perplexity": math.exp(min(loss, 700.0)),
    }
