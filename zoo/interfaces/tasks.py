"""Task: data, batches, the network around a model, loss, metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from zoo.interfaces.data import Batch, Data, Split
from zoo.interfaces.models import BuildModel, State

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one batch.

    Args:
        loss: The scalar that training minimises.
        metric_sums: Sums over the batch from which metrics are computed; they are added up over
            batches, so that a metric is never a mean of means.
        state: The recurrent state after the batch, for tasks that carry it.
        outputs: The network's raw outputs, such as logits, for further metrics; may be None.
        baseline_outputs: What a baseline beside the network, such as a linear model, says of the
            same batch, in the form of ``outputs``; None without one.
    """

    loss: Tensor
    metric_sums: Mapping[str, Tensor]
    state: State | None = None
    outputs: Tensor | None = None
    baseline_outputs: Tensor | None = None


MetricSums: TypeAlias = Mapping[str, "Tensor"]
Metrics = dict[str, Any]
Evaluate = Callable[[Split], Metrics]
"""Computes the metrics of a split; given to :meth:`Task.evaluate`."""


class Task(ABC):
    """Everything about a use of sequence models but the architecture.

    Built as ``target(options)``. It then learns from data (:meth:`prepare`) or takes what an
    earlier instance learned (:meth:`load_state_dict`); after either, :meth:`network` can be
    called.
    """

    @abstractmethod
    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read the data and make its splits: ``train``, ``validation``, ``test`` and ``all``.

        Args:
            path: A file or folder; None for the sample that the task carries.
            seed: Seed of whatever is drawn, such as a validation split.
            fit: Whether to learn from the training split what is to be learned, such as a
                vocabulary; False uses what :meth:`load_state_dict` was given.

        Raises:
            zoo.errors.DataError: The data is missing, malformed or unfit, or has what an earlier
                training did not know (a label, a character).
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what :meth:`prepare` learned, as JSON values; stored in the weights file."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what :meth:`state_dict` returned, in place of learning it.

        Args:
            state: The values, as they come from JSON.

        Raises:
            ValueError: The values are not of the form that this task writes.
        """

    @abstractmethod
    def network(self, build_model: BuildModel) -> nn.Module:
        """Build the network around the model; its parameter names are those of the export.

        Args:
            build_model: Makes the model that the user chose, for inputs of a given size.
        """

    @abstractmethod
    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        """Compute loss and metric sums of one batch, in training or evaluation mode.

        The loss returned is back-propagated by the engine; what the task back-propagates itself is
        added to that. With gradient accumulation the gradients of earlier batches are there, and
        the engine multiplies the loss by the batch's share.

        Args:
            network: What :meth:`network` returned.
            batch: A batch of a split, on the device of the network.
            state: :attr:`Step.state` of the batch before; None at the start of a pass.
        """

    @abstractmethod
    def metrics(self, metric_sums: MetricSums) -> Metrics:
        """Compute metrics of sums that were added up, over a split or over training steps.

        Args:
            metric_sums: The sums of :attr:`Step.metric_sums`, by name.
        """

    @abstractmethod
    def probe(self) -> Batch:
        """Return a small fixed batch on which exported weights can be checked.

        Every field of it that is a tensor is stored in the weights file.
        """

    def probe_outputs(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the outputs of a probe that are stored and compared, such as logits.

        By default what ``network(batch.inputs, batch.lengths)`` returns, alone or first in a
        tuple.

        Args:
            network: The network, in evaluation mode.
            batch: What :meth:`probe` returned.
        """
        outputs = network(batch.inputs, batch.lengths)
        first: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
        return first

    def evaluate(self, split: Split, evaluate: Evaluate) -> Metrics:
        """Compute the metrics of a split; override to evaluate it in more than one way.

        Args:
            split: The split.
            evaluate: Evaluates a split once, by :meth:`step` and :meth:`metrics`.
        """
        return evaluate(split)
