"""One step of a stack for generation: the input product is a table look-up.

In generation the inputs are rows of a fixed table (an embedding), so ``W_ih x + b_ih`` of the first
layer takes only V values, which are computed once; a step is then one product with ``W_hh``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.interfaces import State, Stepper

Cell = Callable[[Tensor, Tensor, State], State]
"""(W_ih x + b_ih, W_hh h + b_hh, state) to the next state, hidden state first; (S, any) each."""


def rnn_cell(gates: Tensor, recurrent: Tensor, state: State) -> State:
    """Elman step."""
    del state
    return ((gates + recurrent).tanh_(),)


def gru_cell(gates: Tensor, recurrent: Tensor, state: State) -> State:
    """GRU step; gates r, z, n."""
    (hidden,) = state
    size = hidden.shape[1]
    both = (gates[:, : 2 * size] + recurrent[:, : 2 * size]).sigmoid_()
    new = torch.tanh(gates[:, 2 * size :] + both[:, :size] * recurrent[:, 2 * size :])
    return (torch.lerp(new, hidden, both[:, size:]),)


def lstm_cell(gates: Tensor, recurrent: Tensor, state: State) -> State:
    """LSTM step; gates i, f, g, o."""
    i, f, g, o = (gates + recurrent).chunk(4, dim=1)
    cell = (f.sigmoid_() * state[1]).addcmul_(i.sigmoid_(), g.tanh_())
    return o.sigmoid_() * cell.tanh(), cell


class Product:
    """``W x + b`` again and again for as many rows as before, in the fastest way there is.

    Args:
        weight: (N, M).
        bias: (N,).
        rows: How many rows x will have.
    """

    def __init__(self, weight: Tensor, bias: Tensor, rows: int) -> None:
        self._weight, self._bias = weight, bias
        self.apply = self._linear
        if weight.device.type != "cpu":
            return
        parts = math.gcd(torch.get_num_threads(), len(weight))
        if rows == 1 and parts > 1:
            # One row reads the whole matrix and computes next to nothing. MKL reads it with one
            # thread, a batch of parts with all of them.
            self._parts = weight.view(parts, -1, weight.shape[1]).transpose(1, 2).contiguous()
            self._bias = bias.view(parts, 1, -1)
            self.apply = self._divided
        elif rows > 1 and weight.dtype == torch.float32 and torch.backends.mkldnn.is_available():
            # oneDNN is twice as fast as MKL at these, at least on AMD.
            self._weight, self._bias = weight.to_mkldnn(), bias.to_mkldnn()
            self.apply = self._by_mkldnn

    def __call__(self, values: Tensor) -> Tensor:
        """Return (rows, N) of (rows, M)."""
        result: Tensor = self.apply(values)
        return result

    def _linear(self, values: Tensor) -> Tensor:
        return F.linear(values, self._weight, self._bias)

    def _by_mkldnn(self, values: Tensor) -> Tensor:
        return F.linear(values.to_mkldnn(), self._weight, self._bias).to_dense()

    def _divided(self, values: Tensor) -> Tensor:
        rows = values.expand(len(self._parts), 1, -1)
        return torch.baddbmm(self._bias, rows, self._parts).view(1, -1)


def stepper(
    layers: Sequence[Sequence[Tensor]],
    start: Callable[[Tensor], State],
    table: Tensor,
    cell: Cell,
) -> Stepper:
    """Return the step function of a one-directional stack.

    Args:
        layers: W_ih, W_hh, b_ih and b_hh of each layer, from the lowest up.
        start: Gives the state before the first step of (S,) symbols.
        table: (V, input_size), one input vector a symbol.
        cell: The step of its cell.

    Returns:
        A function from (S,) symbols and a state of tensors (num_layers, S, hidden_size) to
        outputs (S, output_size) and the next state.
    """
    weights = [[weight.detach() for weight in layer] for layer in layers]
    w_ih, _, b_ih, _ = weights[0]
    gate_table = F.linear(table.detach(), w_ih, b_ih)

    @functools.cache
    def products(rows: int) -> list[tuple[Product, Product]]:
        """Return those with W_ih and with W_hh of every layer."""
        return [
            (Product(w_ih, b_ih, rows), Product(w_hh, b_hh, rows))
            for w_ih, w_hh, b_ih, b_hh in weights
        ]

    def step(symbols: Tensor, state: State | None) -> tuple[Tensor, State]:
        if state is None:
            state = start(symbols)
        gates = gate_table.index_select(0, symbols)
        ends: list[State] = []
        for layer, (below, across) in enumerate(products(len(symbols))):
            if ends:
                gates = below(ends[-1][0])
            own = tuple(part[layer] for part in state)
            ends.append(cell(gates, across(own[0]), own))
        if len(ends) == 1:
            return ends[0][0], tuple(part[None] for part in ends[0])
        return ends[-1][0], tuple(torch.stack(parts) for parts in zip(*ends, strict=True))

    return step
