"""Stacks of recurrent layers over right-padded rows, exact without packing.

A forward direction reads every real step before any padding, so padding cannot reach it; the
backward direction is a second forward pass over rows that are reversed within their lengths. Both
are plain unpacked calls, which on the CPU is what oneDNN accelerates; packed ones never are, and
their backward pass costs O(T^2). On a GPU, where cuDNN handles packed rows well, rows are packed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.interfaces import State, Stepper
from zoo.layers import last, project, real, reverse
from zoo_recurrent.steppers import Cell, stepper

RANDOM_STATE_STD = 0.1


class Stack(nn.RNNBase):
    """What RNN, LSTM and GRU share: layers, directions, initial state, merging.

    Parameters are those of the torch class of the same name, under the same names. A subclass
    names the torch class beside this one, the function that computes a layer (``kernel``), the one
    that takes a step (``cell``), and how many tensors its state has.

    Args:
        input_size: Size of an input vector.
        hidden_size: Units in each direction of each layer.
        num_layers: Layers.
        dropout: Share of values dropped between layers in training.
        initial_state: ``zeros``, ``random`` or ``learned``.
        merge: How two directions become one, or None for one direction.

    Raises:
        ValueError: dropout is set and there is nothing between layers to drop.
    """

    states = 1
    kernel: Callable[..., tuple[Tensor, ...]]
    cell: Cell

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        initial_state: str,
        merge: str | None = None,
    ) -> None:
        if dropout and num_layers == 1:
            raise ValueError("dropout acts between layers, and num_layers is 1")
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            dropout=dropout,
            bidirectional=merge is not None,
            batch_first=True,
        )
        self.merge = merge
        self.initial = initial_state
        self.directions = 2 if merge else 1
        self.output_size = 2 * hidden_size if merge == "concat" else hidden_size
        if initial_state == "learned":
            shape = (self.states, num_layers * self.directions, hidden_size)
            self.initial_state = nn.Parameter(torch.zeros(shape))

    def forward(  # type: ignore[override]
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """See :class:`zoo.interfaces.Model`."""
        start = self.start(inputs) if state is None else state
        if inputs.is_cuda and inputs.is_floating_point():
            outputs, end = self._packed(inputs, lengths, start)
        else:
            outputs, end = self._padded(inputs, lengths, start)
        if self.merge and self.merge != "concat":
            outputs = self._merged(*outputs.chunk(2, dim=2))
        return outputs, end

    def readout(self, state: State) -> Tensor:
        """Return (B, output_size): the top layer's last hidden state, of both ways if two."""
        top = state[0].unflatten(0, (self.num_layers, self.directions))[-1]
        return self._merged(top[0], top[1]) if self.merge else top[0]

    def _merged(self, ahead: Tensor, back: Tensor) -> Tensor:
        if self.merge == "concat":
            return torch.cat((ahead, back), dim=-1)
        if self.merge == "mul":
            return ahead * back
        total = ahead + back
        return total if self.merge == "sum" else total / 2

    def start(self, inputs: Tensor) -> State:
        """Return the state before the first step of rows (B, ...)."""
        shape = (self.num_layers * self.directions, inputs.shape[0], self.hidden_size)
        if self.initial == "learned":
            return tuple(part[:, None].expand(shape).contiguous() for part in self.initial_state)
        like = self.weight_ih_l0
        if self.initial == "random" and self.training:
            return tuple(
                torch.randn(shape, device=like.device, dtype=like.dtype) * RANDOM_STATE_STD
                for _ in range(self.states)
            )
        zeros = torch.zeros(shape, device=like.device, dtype=like.dtype)
        return (zeros,) * self.states

    def _packed(self, inputs: Tensor, lengths: Tensor, start: State) -> tuple[Tensor, State]:
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        hx = start if self.states > 1 else start[0]
        # The torch class beside this one in the subclass.
        packed, end = super().forward(packed, hx)
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=inputs.shape[1])
        return outputs, (end if self.states > 1 else (end,))

    def _padded(self, inputs: Tensor, lengths: Tensor, start: State) -> tuple[Tensor, State]:
        steps = inputs.shape[1]
        padding = None
        if int(lengths.min()) < steps:
            padding = (~real(lengths, steps))[..., None]
        values = inputs
        if padding is not None and inputs.is_floating_point():
            # NaN times nothing is still NaN, and huge numbers open any gate.
            values = inputs.masked_fill(padding, 0.0)
        ends: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                values = nn.functional.dropout(values, self.dropout, self.training)
            ways = []
            for direction in range(self.directions):
                index = layer * self.directions + direction
                first = tuple(part[index : index + 1] for part in start)
                weights = self.weights_of(index)
                read = self._turn(values, lengths, padding) if direction else values
                outputs, end = self.scan(read, lengths, padding, first, weights)
                if padding is not None:
                    outputs = outputs.masked_fill(padding, 0.0)
                ways.append(self._turn(outputs, lengths, padding) if direction else outputs)
                ends.append(end)
            values = torch.cat(ways, dim=2) if len(ways) > 1 else ways[0]
        return values, tuple(torch.cat(parts) for parts in zip(*ends, strict=True))

    @staticmethod
    def _turn(values: Tensor, lengths: Tensor, padding: Tensor | None) -> Tensor:
        return values.flip(1) if padding is None else reverse(values, lengths)

    def weights_of(self, index: int) -> list[Tensor]:
        """Return W_ih, W_hh, b_ih and b_hh of a layer's direction."""
        layer, backward = divmod(index, self.directions)
        suffix = f"_l{layer}" + ("_reverse" if backward else "")
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self, name + suffix) for name in names]

    def scan(
        self,
        inputs: Tensor,
        lengths: Tensor,
        padding: Tensor | None,
        start: State,
        weights: list[Tensor],
    ) -> tuple[Tensor, State]:
        """Run one direction of one layer over rows (B, T, I) or one-hot indices (B, T).

        Args:
            inputs: What the layer reads.
            lengths: (B,).
            padding: (B, T, 1), True at padding; None where there is none.
            start: State tensors (1, B, H).
            weights: W_ih, W_hh, b_ih, b_hh.

        Returns:
            Outputs (B, T, H), anything at padding, and the state after each row's last step.
        """
        inputs, weights = look_up(inputs, weights)
        outputs, _ = self.kernel(
            inputs, start[0], weights, True, 1, 0.0, self.training, False, True
        )
        return outputs, (last(outputs, lengths)[None],)

    def stepper(self, table: Tensor) -> Stepper:
        """Return a function from (S,) rows of ``table`` (V, input_size) to (S, output_size)."""
        layers = [self.weights_of(layer) for layer in range(self.num_layers)]
        return stepper(layers, self.start, table, self.cell)


def look_up(inputs: Tensor, weights: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Turn one-hot indices (B, T) into the gate inputs that they select, and W_ih into identity."""
    if inputs.is_floating_point():
        return inputs, weights
    w_ih, *rest = weights
    identity = torch.eye(len(w_ih), device=w_ih.device, dtype=w_ih.dtype)
    return project(inputs, w_ih), [identity, *rest]
