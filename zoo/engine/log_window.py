"""The steps since the last line of the log."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from zoo.engine.evaluation import SumAccumulator
from zoo.interfaces import MetricSums


class LogWindow:
    """Sums of these steps, the loss of the last batch and the rate.

    Attributes:
        sums: Metric sums.
        loss: The loss of the last batch.
    """

    def __init__(self) -> None:
        self.sums = SumAccumulator()
        self.loss = torch.zeros(())
        self._rows = 0
        self._since = time.monotonic()

    def add(self, loss: Tensor, rows: int, metric_sums: MetricSums) -> None:
        """Add a batch."""
        self.sums.add(metric_sums)
        self.loss = loss
        self._rows += rows

    def rows_per_second(self) -> float:
        """Return the rate since the window was opened."""
        return round(self._rows / max(time.monotonic() - self._since, 1e-9), 1)
