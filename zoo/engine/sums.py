"""Sums of metrics over batches."""

from __future__ import annotations

from torch import Tensor

from zoo.interfaces import MetricSums


class SumAccumulator:
    """Adds up metric sums in float64, on the device that they are on."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    def add(self, sums: MetricSums) -> None:
        """Add the sums of one batch."""
        for name, value in sums.items():
            value = value.detach().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def total(self) -> MetricSums:
        """Return the sums on the CPU."""
        return {name: value.cpu() for name, value in self.sums.items()}
