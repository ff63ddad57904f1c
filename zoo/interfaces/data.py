"""Batches, splits and prepared data: what passes between a task and the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        moved = {f.name: _to(getattr(self, f.name), device) for f in fields(self)}
        return replace(self, **moved)


def _to(value: Any, device: torch.device) -> Any:
    from torch import Tensor

    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: _to(item, device) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_to(item, device) for item in value]
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
