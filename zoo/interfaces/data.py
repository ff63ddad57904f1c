"""Batches, splits and prepared data: what passes between a task and the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """A batch of examples, padded on the right.

    A task that needs more (target lengths, masks, a second input) declares a subclass with
    further fields; tensors, and tuples, lists and dictionaries of tensors, move with
    :meth:`to`.

    Args:
        inputs: (B, T) token ids or (B, T, F) vectors; or (B, F) where a task starts from a
            vector.
        lengths: (B,) number of steps of each row.
        targets: What the task's loss compares with.
        reset_state: Whether rows start from the initial state; False continues the rows of the
            batch before.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Any
    reset_state: bool = True

    def __len__(self) -> int:
        return len(self.lengths)

    def to(self, device: torch.device) -> Self:
        """Return the batch on another device.

        Args:
            device: Where its tensors go.
        """
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def select(self, rows: slice) -> Self:
        """Return some of the rows, for one of several processes of a training.

        A subclass that has tensors whose first dimension is not that of the rows overrides it.

        Args:
            rows: Which rows.

        Raises:
            ValueError: A tensor has another first dimension than the batch has rows.
        """
        return self._map(lambda tensor: _rows(tensor, rows, len(self)))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        changed = {f.name: _map(getattr(self, f.name), change) for f in fields(self)}
        return replace(self, **changed)


def _rows(tensor: Tensor, rows: slice, count: int) -> Tensor:
    if tensor.dim() and len(tensor) != count:
        shape = tuple(tensor.shape)
        raise ValueError(f"a batch of {count} rows has a tensor {shape}: it needs its own select()")
    return tensor[rows].contiguous() if tensor.dim() else tensor


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    from torch import Tensor

    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _map(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_map(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


class Split(Protocol):
    """One part of a data set. Its batches are a pure function of the arguments."""

    @property
    def num_examples(self) -> int:
        """How many examples there are: reviews, or characters."""
        ...

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Sequence[Batch]:
        """Return the batches of one training epoch, in an order drawn by seed and epoch.

        Args:
            seed: Seed of the run.
            epoch: Number of the epoch, from 0.
            batch_size: Examples in a batch, at most.
        """
        ...

    def eval_batches(self) -> Sequence[Batch]:
        """Return batches for evaluation that hold every example exactly once."""
        ...


@dataclass(frozen=True, slots=True)
class Data:
    """What a task prepared from its source.

    Args:
        splits: Parts by name; training reads ``train`` and ``validation``.
        digest: sha256 of the source's bytes, by which a data set is recognised.
        summary: One line on what was read.
        notes: Lines about the data that are shown before a training, such as the classes with
            their shares; aligned, and at most 80 characters wide.
    """

    splits: Mapping[str, Split]
    digest: str
    summary: str
    notes: tuple[str, ...] = ()


@runtime_checkable
class ShufflesSteps(Protocol):
    """A split whose rows can be shuffled within, to measure what the order of steps tells."""

    def shuffle_steps(self, seed: int) -> Split:
        """Return the split with the steps of each row in random order.

        Args:
            seed: Seed of the order.
        """
        ...
