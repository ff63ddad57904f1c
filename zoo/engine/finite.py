"""Losses, parameters and metrics that are not finite, each with a line of its own."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import DivergedError, PluginError, ZooWarning, listed
from zoo.interfaces import Metrics
from zoo.records import TaskInfo


def not_finite(metrics: Mapping[str, Any]) -> set[str]:
    """Return the names of metrics that are numbers, but not finite."""
    return {
        name
        for name, value in metrics.items()
        if isinstance(value, float) and not math.isfinite(value)
    }


class FiniteMetrics:
    """Leaves metrics of training steps out that are not finite; a warning says so, once for each.

    They choose nothing, and a metric may have no value on a few batches, such as a ROC area where
    these have one class.
    """

    def __init__(self) -> None:
        self._left_out: set[str] = set()

    def __call__(self, metrics: Metrics, step: int) -> Metrics:
        """Return the metrics of some steps without those that are not finite."""
        left_out = not_finite(metrics)
        if new := left_out - self._left_out:
            self._left_out |= new
            warnings.warn(
                f"training {listed(sorted(new))} is not finite at step {step} and left out of the "
                "log; the loss is finite",
                ZooWarning,
                stacklevel=3,
            )
        return {name: value for name, value in metrics.items() if name not in left_out}


def name_not_finite(network: nn.Module) -> str:
    """Return the name of a parameter with a number that is not finite; empty if there is none."""
    for name, parameter in network.named_parameters():
        if not bool(torch.isfinite(parameter.detach()).all()):
            return name
    return ""


def check_finite_metrics(
    metrics: Mapping[str, Any], network: nn.Module, task: TaskInfo, step: int
) -> None:
    """Refuse an evaluation whose weights are not to be saved; the checkpoint before is a good one.

    Args:
        metrics: What was measured on the validation split.
        network: What was evaluated.
        task: The record of the task.
        step: Where the training is.

    Raises:
        DivergedError: The loss or a parameter is not finite.
        PluginError: Another metric is not finite, or the monitored one is missing.
    """
    bad = not_finite(metrics)
    if "loss" in bad:
        raise diverged(f"validation loss is {metrics['loss']}", step)
    check_parameters(network, step)
    if bad:
        name = min(bad)
        raise PluginError(
            f"validation {name} is {metrics[name]}",
            where=f"step {step}",
            why="loss and parameters are finite: the metric has no value on this data",
            fix="leave the metric out, or validate with data that it is defined on",
        )
    if task.monitor not in metrics:
        raise PluginError(
            f"task {task.name!r} has no metric {task.monitor!r} to monitor",
            why=f"it has {', '.join(metrics)}",
        )


def check_loss(loss: Tensor, step: int) -> None:
    """Raise DivergedError if a loss is not finite; on a GPU that waits for the device."""
    if not math.isfinite(value := float(loss.detach())):
        raise diverged(f"loss is {value}", step)


def check_parameters(network: nn.Module, step: int) -> None:
    """Raise DivergedError if a parameter is not finite."""
    if name := name_not_finite(network):
        raise diverged(f"parameter {name} is not finite", step)


def diverged(what: str, step: int) -> DivergedError:
    """Return the error for a training whose loss or parameters are not finite."""
    return DivergedError(
        what,
        where=f"step {step}",
        why="the training diverged",
        fix="start again with a lower learning_rate or with clip_norm; the last checkpoint is kept",
    )
