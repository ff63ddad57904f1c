"""The optimizers of torch, fused where torch can."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from zoo_optim.options import AdamOptions, SGDOptions

Groups = list[dict[str, Any]]


def adam(groups: Groups, learning_rate: float, options: AdamOptions) -> torch.optim.Optimizer:
    """Adam. Source: D. Kingma and J. Ba, arXiv:1412.6980 (2014)."""
    return torch.optim.Adam(
        groups,
        learning_rate,
        betas=(0.9, options.beta2),
        weight_decay=options.weight_decay,
        fused=_can_fuse(groups),
    )


def adamw(groups: Groups, learning_rate: float, options: AdamOptions) -> torch.optim.Optimizer:
    """AdamW. Source: I. Loshchilov and F. Hutter, arXiv:1711.05101 (2017)."""
    return torch.optim.AdamW(
        groups,
        learning_rate,
        betas=(0.9, options.beta2),
        weight_decay=options.weight_decay,
        fused=_can_fuse(groups),
    )


def sgd(groups: Groups, learning_rate: float, options: SGDOptions) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum."""
    return torch.optim.SGD(
        groups,
        learning_rate,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        fused=_can_fuse(groups),
    )


def _can_fuse(groups: Groups) -> bool:
    """Return whether all parameters are of a kind that torch's fused updates take.

    A fused update reads each parameter once, which matters for large embeddings. There is none
    for complex numbers.
    """
    parameters: list[nn.Parameter] = [p for group in groups for p in group["params"]]
    return all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)
