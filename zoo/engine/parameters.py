"""Parameters of a network: groups for the optimizer, clipping of gradients, moving averages."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from zoo.interfaces import HasParameterGroups
from zoo.spec import TrainingOptions


def parameter_groups(network: nn.Module, learning_rate: float) -> list[dict[str, Any]]:
    """Return the parameter groups of a network for a torch optimizer.

    Modules that implement :class:`zoo.interfaces.HasParameterGroups` have groups of their own;
    ``lr_scale`` of a group is turned into its learning rate. All other trainable parameters are
    the first group.
    """
    own: list[dict[str, Any]] = []
    for module in network.modules():
        if isinstance(module, HasParameterGroups):
            for group in module.parameter_groups():
                values = {key: value for key, value in group.items() if key != "lr_scale"}
                scale = float(group.get("lr_scale", 1.0))
                own.append({**values, "params": list(group["params"]), "lr": scale * learning_rate})
    named = {id(parameter) for group in own for parameter in group["params"]}
    rest = [p for p in network.parameters() if p.requires_grad and id(p) not in named]
    return [{"params": rest}, *own] if rest else own


def clip_gradients(network: nn.Module, training: TrainingOptions) -> None:
    """Clip gradients by element and by global norm, as configured.

    Source: R. Pascanu et al., arXiv:1211.5063 (2012), section 3.2, for the norm.
    """
    if training.clip_value:
        # A complex gradient is clipped in its real and its imaginary part.
        for parameter in network.parameters():
            if parameter.grad is not None:
                gradient = parameter.grad
                parts = torch.view_as_real(gradient) if gradient.is_complex() else gradient
                parts.clamp_(-training.clip_value, training.clip_value)
    if training.clip_norm:
        nn.utils.clip_grad_norm_(network.parameters(), training.clip_norm)


def averaged_copy(network: nn.Module, decay: float) -> AveragedModel | None:
    """Return a copy that follows the network as an exponential moving average; None without decay.

    Source: B. Polyak and A. Juditsky, SIAM J. Control Optim. 30 (1992).
    """
    if not decay:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay))
