"""What an evaluation keeps of every batch, on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.interfaces import Batch, Step


class RowBuffer:
    """Rows of all batches, in one tensor that grows.

    A list of small tensors between the large ones of the network would keep the allocator from
    using freed memory again.
    """

    def __init__(self) -> None:
        self._rows: Tensor | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rows: Tensor) -> None:
        """Add rows (B, ...), of the type and shape of those before."""
        after = self._count + len(rows)
        if self._rows is None or after > len(self._rows):
            size = max(after, 2 * self._count)
            larger = torch.empty((size, *rows.shape[1:]), dtype=rows.dtype)
            if self._rows is not None:
                larger[: self._count] = self.rows()
            self._rows = larger
        self._rows[self._count : after] = rows.detach()
        self._count = after

    def rows(self) -> Tensor:
        """Return all rows (N, ...).

        Raises:
            RuntimeError: There are none.
        """
        if self._rows is None:
            raise RuntimeError("no batch was added")
        return self._rows[: self._count]


class Collector:
    """Outputs and targets of all batches, and outputs of a linear baseline."""

    def __init__(self) -> None:
        self._outputs, self._targets, self._baseline = RowBuffer(), RowBuffer(), RowBuffer()

    def update(self, batch: Batch, step: Step) -> None:
        """Add a batch; ``step.outputs`` are (B, K) or (B,), ``batch.targets`` (B,) or (B, K)."""
        assert step.outputs is not None
        self.add(step.outputs, batch.targets, step.baseline_outputs)

    def add(self, outputs: Tensor, targets: Tensor, baseline: Tensor | None) -> None:
        """Add outputs (B, K) or (B,), targets (B,) or (B, K), and a baseline's outputs."""
        self._outputs.add(_at_least_float32(outputs))
        self._targets.add(targets)
        if baseline is not None:
            self._baseline.add(_at_least_float32(baseline))

    def outputs(self) -> Tensor:
        """Return the outputs of all batches (N, ...), float32 or float64."""
        return self._outputs.rows()

    def targets(self) -> Tensor:
        """Return the targets of all batches (N, ...)."""
        return self._targets.rows()

    def baseline(self) -> Tensor | None:
        """Return the baseline's outputs (N, ...), where every batch has them."""
        complete = len(self._baseline) and len(self._baseline) == len(self._outputs)
        return self._baseline.rows() if complete else None


def _at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
