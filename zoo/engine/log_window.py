"""The steps since the last line of the log."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo.engine.sums import SumAccumulator
from zoo.interfaces import MetricSums

_LOSS, _SUMS = "loss", "sums."


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
        """Return the rate since the window was opened in this process."""
        return round(self._rows / max(time.monotonic() - self._since, 1e-9), 1)

    def with_sums(self, parts: Sequence[MetricSums]) -> LogWindow:
        """Return the same window with the sums of several processes, added up."""
        window = LogWindow()
        window.loss, window._rows, window._since = self.loss, self._rows, self._since
        for part in parts:
            window.sums.add(part)
        return window

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed training needs to log what one that never stopped would."""
        sums = {_SUMS + name: value for name, value in self.sums.sums.items()}
        return {_LOSS: self.loss, **sums} if sums else {}

    def load_state_dict(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Take what :meth:`state_dict` returned; nothing where the window was empty."""
        found = {name: tensor.to(device) for name, tensor in tensors.items()}
        self.loss = found.pop(_LOSS, self.loss)
        self.sums.sums = {name.removeprefix(_SUMS): value for name, value in found.items()}
