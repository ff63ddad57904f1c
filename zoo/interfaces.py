"""The two interfaces, Model and Task, and what passes between them and the engine.

A *model* is a recurrent architecture over vectors; it knows nothing of words, labels or losses.
A *task* is everything else: data, batches, the network around the model, loss, metrics, and how
to answer a user. The engine knows neither words nor layers: it asks the task for batches, calls
:meth:`Task.step` on each, and adds up what it is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
"""Recurrent state: tensors of shape (any, B, any), hidden state first, as in torch.nn.LSTM."""


@runtime_checkable
class Model(Protocol):
    """A recurrent architecture: an ``nn.Module`` built as ``target(input_size, **options)``.

    What every model promises:

    * rows are padded on the right, and a row's result depends on nothing but its own real steps;
    * ``outputs`` is zero at padding;
    * the state returned is the one after each row's last real step, and feeding it back continues
      the sequence (causal models);
    * a model that is not causal also has ``readout(state)``, which gives (B, output_size): what it
      has read, in the layout of ``outputs``.
    """

    input_size: int
    output_size: int

    def __call__(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run over a right-padded batch.

        Args:
            inputs: (B, T, input_size).
            lengths: (B,), the number of real steps of each row, at least 1.
            state: What an earlier call returned, or None to start afresh.

        Returns:
            ``outputs`` (B, T, output_size), and the state after each row's last real step.
        """
        ...


MakeModel = Callable[[int], Any]
"""Builds the configured model for a given ``input_size``; may be called more than once."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A rectangle of examples.

    Args:
        inputs: (B, T) indices or (B, T, F) numbers, padded on the right; or (B, F) where a task
            starts from a vector.
        lengths: (B,) real steps of each row.
        targets: Whatever the task's loss compares with; padded where rows differ in length.
        fresh: Whether rows start afresh; False continues the rows of the batch before.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor
    fresh: bool = True

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        moved = {
            f.name: getattr(self, f.name).to(device, non_blocking=True)
            for f in fields(self)
            if f.name != "fresh"
        }
        return replace(self, **moved)


class Split(Protocol):
    """One part of a data set. Which batches it gives is a pure function of the arguments."""

    @property
    def examples(self) -> int:
        """How many examples there are: reviews, or characters."""
        ...

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Sequence[Batch]:
        """Return the batches of one pass for training, drawn by seed and epoch."""
        ...

    def ordered(self) -> Sequence[Batch]:
        """Return batches for evaluation that hold every example exactly once."""
        ...


@dataclass(frozen=True, slots=True)
class Data:
    """What a task prepared from its source.

    Args:
        splits: Parts by name; training reads ``train`` and ``validation``.
        digest: sha256 of the source's bytes, by which a data set is known again.
        summary: One line on what was read.
    """

    splits: Mapping[str, Split]
    digest: str
    summary: str


@dataclass(frozen=True, slots=True)
class Step:
    """What a task made of one batch.

    Args:
        loss: What training minimises; a scalar.
        sums: Sums over the batch from which metrics are made; they are added up over batches, so
            a metric is never a mean of means.
        state: The recurrent state after the batch, for tasks that carry it.
    """

    loss: Tensor
    sums: Mapping[str, Tensor]
    state: State | None = None


Sums = Mapping[str, Tensor]
Metrics = dict[str, Any]
Score = Callable[[Split], Metrics]


class Task(ABC):
    """Everything about a use of sequence models but the architecture.

    Built as ``target(**options)``. It then learns from data (:meth:`prepare`), or is given what an
    earlier instance learned (:meth:`restore`); after either, :meth:`network` can be called.
    """

    @abstractmethod
    def prepare(self, path: Path | None, seed: int, *, learn: bool = True) -> Data:
        """Read the data and make its splits: ``train``, ``validation``, ``test`` and ``all``.

        Args:
            path: A file or folder; None for the sample that the task carries.
            seed: Seed of whatever is drawn, such as a validation part.
            learn: Whether to learn from the training part what is to be learned, such as a
                vocabulary; False keeps what :meth:`restore` was given.

        Raises:
            zoo.errors.DataError: The data is missing, malformed, unfit, or has what an earlier
                training did not know (a label, a character).
        """

    @abstractmethod
    def assets(self) -> dict[str, Any]:
        """Return what :meth:`prepare` learned, as JSON values; it travels in the weights file."""

    @abstractmethod
    def restore(self, assets: Mapping[str, Any]) -> None:
        """Take what :meth:`assets` returned, in place of learning it.

        Raises:
            ValueError: The assets are not of the form that this task writes.
        """

    @abstractmethod
    def network(self, make_model: MakeModel) -> nn.Module:
        """Build the network around the model; its parameter names are those of the export."""

    @abstractmethod
    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        """Compute loss and sums of one batch, in training or evaluation mode.

        Gradients have been cleared, and the loss returned is back-propagated by the engine; what
        the task back-propagates itself is added to that.
        """

    @abstractmethod
    def metrics(self, sums: Sums) -> Metrics:
        """Make metrics of sums that were added up, over a split or over steps of training."""

    @abstractmethod
    def probe(self) -> Batch:
        """Return a small fixed batch on which exported weights can be checked."""

    def logits(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the network's raw answer to a batch, as the probe records it.

        The network's ``forward(inputs, lengths)`` returns it alone, or first in a tuple.
        """
        answer = network(batch.inputs, batch.lengths)
        logits: Tensor = answer[0] if isinstance(answer, tuple) else answer
        return logits

    def evaluate(self, split: Split, score: Score) -> Metrics:
        """Score a split; override to look at it in more than one way."""
        return score(split)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A task's answer to one text.

    Args:
        text: What was asked.
        label: The answer.
        probability: How sure the network is of it.
        scores: Probability of every label.
    """

    text: str
    label: str
    probability: float
    scores: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Predicts(Protocol):
    """A task that answers texts."""

    def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterable[Prediction]:
        """Answer up to a thousand texts, in order; several threads may call it at once."""
        ...


@runtime_checkable
class Generates(Protocol):
    """A task that writes text symbol by symbol."""

    def encode(self, text: str) -> list[int]:
        """Turn a prompt into symbols.

        Raises:
            zoo.errors.DataError: The vocabulary lacks a character; the message names it.
        """
        ...

    def decode(self, symbols: Iterable[int]) -> str:
        """Turn symbols into text."""
        ...

    def start(self) -> int:
        """Return the symbol that an empty prompt starts from."""
        ...

    def stepper(self, network: nn.Module) -> Stepper:
        """Return the function that generation calls once a symbol."""
        ...


Stepper = Callable[[Tensor, State | None], tuple[Tensor, State]]
"""(S,) symbols and a state to (S, V) logits and the next state; S streams advance together."""
