"""The processes of a training, as the trainer sees them: here one alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from zoo.engine.log_window import LogWindow
from zoo.engine.state import TrainState
from zoo.errors import ZooError
from zoo.interfaces import Batch, Metrics, Step, Task, WeighsLoss

Evaluated = tuple[Batch, Step]
EvaluateBatch = Callable[[Batch], Evaluated]
"""Computes a batch of an evaluation, with the state of the one that it computed before."""


class Processes:
    """One process, which shares nothing.

    :class:`zoo.engine.distributed.ProcessGroup` derives from it, for several. All of them call the
    same methods in the same order, except for what the main process does alone: callbacks, messages
    and files.

    Attributes:
        rank: The number of this process, from 0.
        size: How many there are.
        interrupted: Whether a signal has come to this process, where there are several.
        is_restarted: Whether ``torchrun`` had started others before these, for the same training.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self.interrupted = self.is_restarted = False

    @property
    def is_main(self) -> bool:
        """Whether this process calls callbacks and writes files and messages."""
        return self.rank == 0

    # A training step

    def seed(self, seed: int, step: int) -> None:
        """Seed what is drawn in a step, in each process anew."""

    def part(self, task: Task, batch: Batch) -> tuple[Batch | None, float]:
        """Return the rows of a batch that this process computes, and their share in its loss.

        Args:
            task: Says what the loss is a mean over.
            batch: A batch of all rows.

        Returns:
            None and 0 where there are fewer rows than processes, and none for this one.
        """
        del task
        return batch, 1.0

    def sum_gradients(self, network: nn.Module, losses: Sequence[Tensor]) -> Sequence[Tensor]:
        """Replace gradients by their sums over all processes.

        Args:
            network: The network.
            losses: Shares of losses.

        Returns:
            The sums of the losses.
        """
        del network
        return losses

    def any(self, flags: Sequence[bool]) -> Sequence[bool]:
        """Return which of the flags are set in at least one process."""
        return flags

    # The state of the training

    def collect_window(self, window: LogWindow) -> LogWindow:
        """Return the sums over all processes, to the main one."""
        return window

    def collect_state(self, state: TrainState) -> TrainState:
        """Return the state with the recurrent state of all rows, to the main process."""
        return state

    def distribute(self, state: TrainState, window: LogWindow) -> None:
        """Leave in what :meth:`collect_state` and :meth:`collect_window` gave this process's part.

        Args:
            state: The state of a checkpoint; keeps the rows of this process.
            window: That of a checkpoint; stays in the main process.
        """

    def check_same(self, facts: Callable[[], Mapping[str, Any]]) -> None:
        """Refuse to go on where another process has other values.

        Args:
            facts: Returns JSON values by name.

        Raises:
            UsageError: One has; the message names process and value.
        """

    def broadcast_text(self, text: str) -> str:
        """Return the text of the main process."""
        return text

    def broadcast_buffers(self, network: nn.Module) -> None:
        """Give all processes the buffers of the network of the main one."""

    # Evaluation

    def evaluated(
        self, batches: Iterable[Batch], compute: EvaluateBatch, *, outputs: bool
    ) -> Iterator[Evaluated]:
        """Compute the batches of an evaluation.

        Args:
            batches: All batches.
            compute: Computes one of them.
            outputs: Whether what is yielded has to have :attr:`Step.outputs`.

        Returns:
            Each batch with its step, in order; in the main process alone.

        Raises:
            InterruptedTrainingError: A signal has come to one of several processes; raised in all.
        """
        del outputs
        return map(compute, batches)

    def broadcast_metrics(self, metrics: Metrics) -> Metrics:
        """Return the metrics of the main process."""
        return metrics


ONE_PROCESS = Processes()


def share_of(task: Task, batch: Batch, rank: int, size: int) -> tuple[Batch, float]:
    """Return the rows of a batch that one of several processes computes, and their share.

    Process r of n has the rows r, r + n, r + 2n, ...: rows of a batch may be sorted by length, and
    so each has short and long ones.

    Args:
        task: Says what the loss is a mean over.
        batch: A batch of more than ``rank`` rows.
        rank: The number of the process.
        size: How many there are.
    """
    part = batch.select(slice(rank, None, size))
    if isinstance(task, WeighsLoss):
        return part, task.loss_weight(part) / task.loss_weight(batch)
    return part, len(part) / len(batch)


class SharedFailureError(ZooError):
    """A failure of a training that another of its processes reports.

    Args:
        message: What failed in this process.
        exit_code: The exit code of it.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
