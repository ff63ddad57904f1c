"""Scoring a split: sums over batches, made into metrics once at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn

from zoo.errors import UsageError
from zoo.interfaces import Batch, Data, Metrics, Split, State, Sums, Task
from zoo.registry import suggestion

Watch = Callable[[Sequence[Batch]], Iterable[Batch]]
"""Wraps a sequence of batches, for instance in a progress bar."""


class Adder:
    """Adds up sums in float64."""

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor] = {}

    def add(self, sums: Sums) -> None:
        """Add the sums of one batch."""
        for name, value in sums.items():
            value = value.detach().to("cpu", torch.float64)
            self.sums[name] = self.sums[name] + value if name in self.sums else value


def score(
    task: Task, network: nn.Module, split: Split, watch: Watch = lambda batches: batches
) -> Metrics:
    """Return the task's metrics of a split; the network is put into evaluation mode."""
    device = next(network.parameters()).device
    network.eval()
    adder = Adder()
    state: State | None = None
    with torch.inference_mode():
        for batch in watch(split.ordered()):
            step = task.step(network, batch.to(device), None if batch.fresh else state)
            state = step.state
            adder.add(step.sums)
    return task.metrics(adder.sums)


def part(data: Data, name: str) -> Split:
    """Return a split by name.

    Raises:
        UsageError: The data has no such split.
    """
    if name not in data.splits:
        raise UsageError(
            f"no split {name!r}{suggestion(name, data.splits)}",
            where=data.summary,
            fix=f"splits are {', '.join(data.splits)}",
        )
    return data.splits[name]
