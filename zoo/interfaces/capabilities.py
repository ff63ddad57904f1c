"""What a network or a task can do beyond its interface; each is a protocol, found by isinstance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from zoo.interfaces.data import Batch, Data, Split
from zoo.interfaces.models import DecodeStep
from zoo.interfaces.predictions import Mistake, Prediction
from zoo.interfaces.training import Metric

if TYPE_CHECKING:
    from torch import nn


@runtime_checkable
class WrapsModel(Protocol):
    """A network that has its model under the name ``rnn``, as most do."""

    rnn: nn.Module


@runtime_checkable
class Predicts(Protocol):
    """A task that answers texts, or whatever else it documents."""

    def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterable[Prediction]:
        """Answer up to a thousand inputs, in order; several threads may call it at once.

        Args:
            network: The network, in evaluation mode.
            texts: The inputs.
        """
        ...


@runtime_checkable
class ProbesTexts(Protocol):
    """A task whose probe leads from texts to answers, through everything that it learned.

    Where a task does not, the probe of a weights file is its batch alone (:meth:`Task.probe`).
    """

    def probe_texts(self) -> Sequence[str]:
        """Return a few fixed texts of tokens from all over the vocabulary, one of them too long.

        Up to sixteen are stored, of 100,000 characters together.
        """
        ...

    def probe_answers(
        self, network: nn.Module, texts: Sequence[str]
    ) -> Sequence[Mapping[str, Any]]:
        """Return what each text becomes, as JSON values.

        ``token_ids`` (a list of integers) and an ``answer`` that is a string or an integer are
        compared exactly; ``outputs`` (a list of numbers, such as logits) and an ``answer`` that is
        a float within the tolerance of the file's dtype.

        Args:
            network: The network, in evaluation mode.
            texts: The texts of :meth:`probe_texts`, or those that a file stores.
        """
        ...


@runtime_checkable
class Embeds(Protocol):
    """A task that turns texts into vectors."""

    def embed(
        self, network: nn.Module, texts: Sequence[str], *, per_step: bool
    ) -> Iterable[npt.NDArray[np.float32]]:
        """Return a pooled vector (F,) a text, or where ``per_step`` its outputs (T, F).

        Args:
            network: The network, in evaluation mode.
            texts: Up to a thousand texts.
            per_step: Whether outputs of every step are returned.
        """
        ...


@runtime_checkable
class Generates(Protocol):
    """A task that generates text token by token."""

    def encode(self, text: str) -> list[int]:
        """Turn a prompt into token ids.

        Args:
            text: The prompt.

        Raises:
            zoo.errors.DataError: The vocabulary lacks a character; the message names it.
        """
        ...

    def decode(self, token_ids: Iterable[int]) -> str:
        """Turn token ids into text.

        Args:
            token_ids: Token ids, as :meth:`encode` returns them.
        """
        ...

    def start_token(self) -> int:
        """Return the token id that an empty prompt starts from."""
        ...

    def decode_step(self, network: nn.Module) -> DecodeStep:
        """Return the function from token ids (N,) to logits (N, V) that generation calls.

        Args:
            network: The network, in evaluation mode.
        """
        ...


@dataclass(frozen=True, slots=True)
class RowNames:
    """What the rows of a parameter stand for, so that they can be found in another network.

    Args:
        names: A word, label or character for each row; or all that the parameter depends on.
        by_row: Whether each row can be taken by itself. False: the parameter is taken where all
            names are the same, and starts afresh otherwise.
        match_norm: Whether rows that start afresh beside others that are taken are scaled to the
            median norm of these, as suits vectors of words.
    """

    names: Sequence[str]
    by_row: bool = True
    match_norm: bool = False


@runtime_checkable
class NamesRows(Protocol):
    """A task that says what rows of parameters stand for; used by fine-tuning (``--init``)."""

    def row_names(self, network: nn.Module) -> Mapping[str, RowNames]:
        """Return them by parameter name; parameters that are not named are taken by shape.

        Args:
            network: The network.
        """
        ...


@runtime_checkable
class KeepsRows(Protocol):
    """A task whose vocabulary can begin with that of the weights that a training starts from.

    Without it the vocabulary is that of the new data alone, and rows of all other words are lost.
    """

    def keep_rows(self, rows: Mapping[str, RowNames], shapes: Mapping[str, Sequence[int]]) -> None:
        """Keep what rows of other weights stand for, where these are of use to the task.

        Called before :meth:`Task.prepare` with ``fit=True``, also when the training is resumed.

        Args:
            rows: What :meth:`NamesRows.row_names` of the other task returned.
            shapes: Shapes of these parameters.
        """
        ...


@runtime_checkable
class MakesMetrics(Protocol):
    """A task with metrics that are not made of sums, such as an area under a curve.

    They are computed in evaluations alone, beside those of :meth:`Task.metrics`.
    """

    def make_metrics(self, network: nn.Module) -> Sequence[Metric]:
        """Return new metrics for a pass of the network over a split.

        Args:
            network: The network, in evaluation mode.
        """
        ...


@runtime_checkable
class WeighsLoss(Protocol):
    """A task whose loss is no mean over the rows of a batch: over its tokens, for instance.

    Of several processes each computes the loss of some rows, and their gradients are added up by
    weight. Without it the weight is the number of rows.
    """

    def loss_weight(self, batch: Batch) -> float:
        """Return over how many items the loss of a batch is a mean; 1 where it is a sum.

        Args:
            batch: A batch of training, or some of its rows.
        """
        ...


@runtime_checkable
class Calibrates(Protocol):
    """A task that sets parts of a network by validation data, such as a temperature."""

    def calibrate(self, network: nn.Module, split: Split) -> None:
        """Set registered buffers of the network in place; gradients are left alone.

        Called before every evaluation of a training, with its validation split, on the network
        that is evaluated and saved (the moving average, if there is one).

        Args:
            network: The network, in evaluation mode.
            split: The validation split.
        """
        ...


@runtime_checkable
class FitsBaseline(Protocol):
    """A task that fits a baseline to data for the test at the end of a training alone."""

    def with_baseline(self, data: Data) -> Data:
        """Return data whose test split also gives :attr:`Step.baseline_outputs`.

        Args:
            data: What :meth:`Task.prepare` returned.
        """
        ...


@runtime_checkable
class FindsMistakes(Protocol):
    """A task that finds examples that a network is wrong about."""

    def mistakes(self, network: nn.Module, split: Split, count: int) -> list[Mistake]:
        """Return up to ``count`` wrong predictions of a split, the most confident first.

        Args:
            network: The network, in evaluation mode.
            split: A split that the task prepared.
            count: How many, at most.
        """
        ...
