"""Stacks of recurrent layers over right-padded rows; padding is never read."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.interfaces import DecodeStep, State
from zoo_recurrent.backends import Layers, run_layers
from zoo_recurrent.decode import Cell, make_decode_step
from zoo_recurrent.options import BidirectionalOptions, StackOptions

RANDOM_STATE_STD = 0.1


class Stack(nn.RNNBase):
    """What RNN, LSTM and GRU share: layers, directions, initial state, merging.

    Parameters are those of the torch class of the same name, under the same names. A subclass
    names the torch class beside this one, the function that takes a step (``cell``), and how many
    tensors its state has. The state is (h,) or (h, c), of shape
    (num_layers * num_directions, B, hidden_size) as in torch.

    Args:
        input_size: Size of an input vector.
        options: :class:`BidirectionalOptions` make it bidirectional.

    Attributes:
        options: The options.
        output_size: Size of an output vector: twice the hidden size where two directions are
            concatenated, else the hidden size.
    """

    num_state_tensors: ClassVar[int] = 1
    cell: Cell
    weight_ih_l0: Tensor

    def __init__(self, input_size: int, options: StackOptions) -> None:
        merge = options.merge if isinstance(options, BidirectionalOptions) else None
        # nn.LSTM and the like, which pass the mode on.
        super().__init__(
            input_size,  # type: ignore[arg-type]
            options.hidden_size,
            options.num_layers,
            dropout=options.dropout,
            bidirectional=merge is not None,
            batch_first=True,
        )
        self.options = options
        self.merge = merge
        self.num_directions = 2 if merge else 1
        self.output_size = (2 if merge == "concat" else 1) * options.hidden_size
        if options.initial_state == "learned":
            shape = self.num_state_tensors, options.num_layers * self.num_directions
            self.initial_state = nn.Parameter(torch.zeros(*shape, options.hidden_size))

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run over right-padded rows; see :class:`zoo.interfaces.Model`.

        Args:
            inputs: (B, T, input_size).
            lengths: (B,); a row without steps keeps its state.
            state: What an earlier call returned, or None for the initial state.

        Returns:
            Outputs (B, T, output_size), and the state after the last step of each row.

        Raises:
            ValueError: Sizes or types do not fit, or a length is out of range.
            zoo.errors.UsageError: ``ZOO_BACKEND`` names a backend that cannot be used.
        """
        return self._run(inputs, None, lengths, state)

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

        See :class:`zoo.interfaces.ForwardsEmbedded`.
        """
        return self._run(token_ids.long(), weight, lengths, state, return_outputs)

    def _run(
        self,
        inputs: Tensor,
        embedding: Tensor | None,
        lengths: Tensor,
        state: State | None,
        return_outputs: bool = True,
    ) -> tuple[Tensor, State]:
        if state is None:
            state = self.get_initial_state(inputs.shape[0])
        layers = self.describe_layers()
        if self.training and self.options.weight_dropout:
            layers = layers.drop_weights(self.options.weight_dropout)
        outputs, end = run_layers(
            layers, inputs, lengths, state,
            embedding=embedding, return_outputs=return_outputs,
        )  # fmt: skip
        if self.merge and self.merge != "concat" and return_outputs:
            outputs = self._merge(*outputs.chunk(2, dim=2))
        return outputs, end

    def readout(self, state: State) -> Tensor:
        """Return (B, output_size), the hidden state of the last layer, its directions merged."""
        last = state[0].unflatten(0, (self.num_layers, self.num_directions))[-1]
        return self._merge(last[0], last[1]) if self.merge else last[0]

    def decode_step(self, weight: Tensor | None) -> DecodeStep:
        """Return a step function for generation; see :class:`zoo.interfaces.DecodesSteps`.

        Raises:
            ValueError: The model is bidirectional and cannot generate.
        """
        if self.bidirectional:
            raise ValueError("a bidirectional model cannot read one step at a time")
        return make_decode_step(
            self.describe_layers().weights, self.get_initial_state, weight, self.cell,
            add_biases=self.mode != "GRU",
        )  # fmt: skip

    def get_initial_state(self, batch_size: int) -> State:
        """Return the state before the first step, tensors (any, batch_size, hidden_size)."""
        shape = (self.num_layers * self.num_directions, batch_size, self.hidden_size)
        if self.options.initial_state == "learned":
            return tuple(part[:, None].expand(shape).contiguous() for part in self.initial_state)
        like = self.weight_ih_l0
        if self.options.initial_state == "random" and self.training:
            return tuple(
                torch.randn(shape, device=like.device, dtype=like.dtype) * RANDOM_STATE_STD
                for _ in range(self.num_state_tensors)
            )
        zeros = torch.zeros(shape, device=like.device, dtype=like.dtype)
        return (zeros,) * self.num_state_tensors

    def _merge(self, forward: Tensor, backward: Tensor) -> Tensor:
        if self.merge == "concat":
            return torch.cat((forward, backward), dim=-1)
        if self.merge == "mul":
            return forward * backward
        total = forward + backward
        return total if self.merge == "sum" else total / 2

    def describe_layers(self) -> Layers:
        """Return the stack as backends see it."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        suffixes = [
            f"_l{layer}{direction}"
            for layer in range(self.num_layers)
            for direction in ("", "_reverse")[: self.num_directions]
        ]
        return Layers(
            mode=self.mode,
            weights=[[getattr(self, name + suffix) for name in names] for suffix in suffixes],
            num_directions=self.num_directions,
            dropout=self.dropout,
            training=self.training,
            locked_dropout=self.options.locked_dropout,
        )
