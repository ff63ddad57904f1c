"""Stacks of recurrent layers over right-padded rows, exact: padding is never read.

On the CPU in float32 each layer is computed by :mod:`.fused`; wherever else there is (a GPU, other
precisions), and for a few sentences, by torch's own layer over packed rows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.interfaces import State, Stepper
from zoo_recurrent.steppers import Cell, stepper

RANDOM_STATE_STD = 0.1
# So many steps torch has read before compiled code is loaded. The rule is the same ever after: what
# a network answers shall not depend on what it was asked before.
_FEW_STEPS = 4096
# Packed rows have their one-hot vectors written out; so many numbers may they be.
_FEW_NUMBERS = 1 << 20


class Stack(nn.RNNBase):
    """What RNN, LSTM and GRU share: layers, directions, initial state, merging.

    Parameters are those of the torch class of the same name, under the same names. A subclass
    names the torch class beside this one, the function that takes a step (``cell``), and how many
    tensors its state has.

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
        weight = self.weight_ih_l0
        if not inputs.is_floating_point():
            inputs = inputs.long()
        elif weight.device.type == "cpu":
            inputs = inputs.to(weight.dtype)
        one_hot = not inputs.is_floating_point()
        read = self._fused if self._fusable(inputs, lengths, one_hot=one_hot) else self._packed
        # On the CPU in the precision of the weights even under mixed precision: the sums are long.
        with torch.autocast("cpu", enabled=False):
            outputs, end = read(inputs, lengths, start)
        return self._both_ways(outputs), end

    def look_up(
        self,
        table: Tensor,
        indices: Tensor,
        lengths: Tensor,
        state: State | None = None,
        *,
        want_outputs: bool = True,
    ) -> tuple[Tensor, State]:
        """Return what ``forward`` returns for ``table[indices]``, which is not written out.

        Args:
            table: (V, input_size).
            indices: (B, T).
            lengths: As for ``forward``, and so is ``state``.
            want_outputs: Whether outputs are needed; what is returned in their place is not.
        """
        if table.dtype != torch.float32 or not self._fusable(indices, lengths, one_hot=False):
            return self.forward(nn.functional.embedding(indices, table), lengths, state)
        start = self.start(indices) if state is None else state
        with torch.autocast("cpu", enabled=False):
            outputs, end = self._fused(indices, lengths, start, table, want_outputs)
        return (self._both_ways(outputs) if want_outputs else outputs), end

    def _both_ways(self, outputs: Tensor) -> Tensor:
        if self.merge and self.merge != "concat":
            return self._merged(*outputs.chunk(2, dim=2))
        return outputs

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

    def _fusable(self, inputs: Tensor, lengths: Tensor, *, one_hot: bool) -> bool:
        if any(w.device.type != "cpu" or w.dtype != torch.float32 for w in self.parameters()):
            return False
        steps = inputs.shape[0] * inputs.shape[1]
        if torch.is_grad_enabled() or steps > _FEW_STEPS:
            return True
        if one_hot and steps * self.input_size > _FEW_NUMBERS:
            return True
        # Packed rows have at least one step.
        return bool((lengths < 1).any())

    def _fused(
        self,
        inputs: Tensor,
        lengths: Tensor,
        start: State,
        table: Tensor | None = None,
        want_outputs: bool = True,
    ) -> tuple[Tensor, State]:
        # Importing numba takes a fifth of a second, which one sentence is not worth.
        from zoo_recurrent.fused import scan

        ends: list[State] = []
        values = inputs
        for layer in range(self.num_layers):
            if layer and self.dropout:
                values = nn.functional.dropout(values, self.dropout, self.training)
            ways = []
            for direction in range(self.directions):
                index = layer * self.directions + direction
                first = tuple(part[index] for part in start)
                weights = self.weights_of(index)
                outputs, end = scan(
                    self.mode,
                    values,
                    lengths,
                    first,
                    weights,
                    reverse=direction == 1,
                    table=None if layer else table,
                    want_outputs=want_outputs or layer < self.num_layers - 1,
                )
                ways.append(outputs)
                ends.append(end)
            values = torch.cat(ways, dim=2) if len(ways) > 1 else ways[0]
        return values, tuple(torch.stack(parts) for parts in zip(*ends, strict=True))

    def _packed(self, inputs: Tensor, lengths: Tensor, start: State) -> tuple[Tensor, State]:
        if not inputs.is_floating_point():
            inputs = nn.functional.one_hot(inputs, self.input_size).to(self.weight_ih_l0.dtype)
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        hx = start if self.states > 1 else start[0]
        # The torch class beside this one in the subclass.
        packed, end = super().forward(packed, hx)
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=inputs.shape[1])
        return outputs, (end if self.states > 1 else (end,))

    def weights_of(self, index: int) -> list[Tensor]:
        """Return W_ih, W_hh, b_ih and b_hh of a layer's direction."""
        layer, backward = divmod(index, self.directions)
        suffix = f"_l{layer}" + ("_reverse" if backward else "")
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self, name + suffix) for name in names]

    def stepper(self, table: Tensor) -> Stepper:
        """Return a function from (S,) rows of ``table`` (V, input_size) to (S, output_size)."""
        layers = [self.weights_of(layer) for layer in range(self.num_layers)]
        return stepper(layers, self.start, table, self.cell, summed=self.mode != "GRU")
