"""The optimizer and the learning-rate schedule of a run."""

from __future__ import annotations

import torch
from torch import nn

from zoo.building import build
from zoo.engine.faults import named, naming_plugin
from zoo.engine.parameters import parameter_groups
from zoo.engine.state import Scheduler
from zoo.errors import PluginError
from zoo.spec import RunSpec


def build_optimizer(spec: RunSpec, network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a network.

    Raises:
        PluginError: Its plugin fails, or makes something else.
    """
    training = spec.training
    groups = parameter_groups(network, training.learning_rate)
    with naming_plugin(named(spec.optimizer.info, "target")):
        optimizer = build(spec.optimizer, groups, training.learning_rate)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise PluginError(f"{training.optimizer!r} is no torch optimizer")
    return optimizer


def build_scheduler(spec: RunSpec, optimizer: torch.optim.Optimizer, total_steps: int) -> Scheduler:
    """Return the schedule of a training of so many steps.

    Raises:
        PluginError: Its plugin fails, or makes something else.
    """
    with naming_plugin(named(spec.scheduler.info, "target")):
        scheduler = build(spec.scheduler, optimizer, total_steps)
    if not isinstance(scheduler, Scheduler):
        raise PluginError(f"{spec.training.schedule!r} is no torch learning-rate scheduler")
    return scheduler
