"""Model: a recurrent architecture over vectors, and what it can do beyond the interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

State: TypeAlias = tuple["Tensor", ...]
"""Recurrent state: tensors of shape (any, B, any), hidden state first, as in torch.nn.LSTM."""


@runtime_checkable
class Model(Protocol):
    """A recurrent architecture: an ``nn.Module`` built as ``target(input_size, options)``.

    What every model guarantees:

    * rows are padded on the right, and the result of a row depends on its own steps alone, never
      on padding or on the other rows of the batch;
    * ``outputs`` is zero at padding;
    * the state returned is the one after the last step of each row, and passing it back continues
      the sequence (causal models);
    * a model that is not causal also implements :class:`HasReadout`.

    Attributes:
        input_size: Size of an input vector.
        output_size: Size of an output vector.
    """

    input_size: int
    output_size: int

    def __call__(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run over a right-padded batch.

        Args:
            inputs: (B, T, input_size), floating point.
            lengths: (B,), the number of steps of each row, at least 1.
            state: What an earlier call returned, or None for the initial state.

        Returns:
            ``outputs`` (B, T, output_size), and the state after the last step of each row.
        """
        ...


class BuildModel(Protocol):
    """Builds the models of a network as the run is configured; given to :meth:`Task.network`."""

    def __call__(self, input_size: int) -> Any:
        """Return the model that the user chose; may be called more than once.

        Args:
            input_size: Size of an input vector of the model.
        """
        ...

    def submodel(self, name: str, input_size: int) -> Any:
        """Return the model of one of the task's :class:`zoo.Submodel` declarations.

        Args:
            name: The name of the declaration.
            input_size: Size of an input vector of the model.
        """
        ...


@runtime_checkable
class HasReadout(Protocol):
    """A model that says itself what it has read by the end of each row."""

    def readout(self, state: State) -> Tensor:
        """Return (B, output_size) of a state, in the layout of ``outputs``.

        Args:
            state: What ``forward`` returned.
        """
        ...


@runtime_checkable
class HasInitialState(Protocol):
    """A model that tells the state that a row starts from where none is given.

    Without it, what resets a row takes zeros.
    """

    def get_initial_state(self, batch_size: int) -> State:
        """Return the state before the first step, as ``forward`` takes it.

        Args:
            batch_size: B, the number of rows.
        """
        ...


@runtime_checkable
class ForwardsEmbedded(Protocol):
    """A model that reads rows of an embedding without having them written out.

    Tasks call :func:`zoo.nn.forward_embedded`, which also serves every other model.
    """

    def forward_embedded(
        self,
        weight: Tensor | None,
        token_ids: Tensor,
        lengths: Tensor,
        state: State | None = None,
        *,
        return_outputs: bool = True,
    ) -> tuple[Tensor, State]:
        """Return what ``forward`` returns for ``weight[token_ids]``.

        Args:
            weight: (V, input_size); None for the identity: inputs are one-hot vectors.
            token_ids: (B, T).
            lengths: (B,).
            state: As for ``forward``.
            return_outputs: Whether outputs are needed; if not, an empty tensor may be returned
                in their place.
        """
        ...


DecodeStep: TypeAlias = Callable[["Tensor", State | None], tuple["Tensor", State]]
"""(N,) token ids and a state to (N, ...) outputs and the next state; N samples advance together."""


@runtime_checkable
class DecodesSteps(Protocol):
    """A model that has a faster way than ``forward`` to take one step at a time."""

    def decode_step(self, weight: Tensor | None) -> DecodeStep:
        """Return a function from token ids (N,) to outputs (N, output_size), for generation.

        Args:
            weight: As for :meth:`ForwardsEmbedded.forward_embedded`.
        """
        ...


@runtime_checkable
class HasPenalty(Protocol):
    """A module of a network that adds to the loss, such as a regularised model."""

    def penalty(self) -> Tensor:
        """Return a scalar that is added to the loss of the batch just computed."""
        ...


@runtime_checkable
class HasParameterGroups(Protocol):
    """A module that wants its parameters trained under settings of their own."""

    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        """Return groups: ``params``, and ``lr_scale`` or what the optimizer takes.

        Parameters that no group names are trained under the run's settings.
        """
        ...
