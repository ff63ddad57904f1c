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


class Product:
    """``onto + W x`` again and again for as many rows as before, in the fastest way there is.

    Args:
        weight: (N, M).
        bias: (N,), what the product is added to if nothing else is named.
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
            self.apply = self._divided
        elif rows > 1 and weight.dtype == torch.float32 and torch.backends.mkldnn.is_available():
            # oneDNN is twice as fast as MKL at these, at least on AMD.
            self._weight = weight.to_mkldnn()
            self.apply = self._by_mkldnn

    def __call__(self, values: Tensor, onto: Tensor | None = None) -> Tensor:
        """Return (1, rows, N) of values (1, rows, M) and (..., N)."""
        result: Tensor = self.apply(values, self._bias if onto is None else onto)
        return result

    def _linear(self, values: Tensor, onto: Tensor) -> Tensor:
        return F.linear(values, self._weight).add_(onto)

    def _by_mkldnn(self, values: Tensor, onto: Tensor) -> Tensor:
        return F.linear(values.to_mkldnn(), self._weight).to_dense().add_(onto)

    def _divided(self, values: Tensor, onto: Tensor) -> Tensor:
        parts = len(self._parts)
        rows = values.expand(parts, 1, -1)
        return torch.baddbmm(onto.view(parts, 1, -1), rows, self._parts).view(1, 1, -1)


Cell = Callable[[Tensor, Product, State], State]
"""(gates, product with W_hh, state) to the next state, hidden state first.

State and gates are (1, S, any). Gates are W_ih x + b_ih, and + b_hh for a ``summed`` cell.
"""


def rnn_cell(gates: Tensor, across: Product, state: State) -> State:
    """Elman step."""
    return (across(state[0], gates).tanh_(),)


def gru_cell(gates: Tensor, across: Product, state: State) -> State:
    """GRU step; gates r, z, n."""
    (hidden,) = state
    size = hidden.shape[-1]
    recurrent = across(hidden)
    both = (gates[..., : 2 * size] + recurrent[..., : 2 * size]).sigmoid_()
    new = torch.tanh(gates[..., 2 * size :] + both[..., :size] * recurrent[..., 2 * size :])
    return (torch.lerp(new, hidden, both[..., size:]),)


def lstm_cell(gates: Tensor, across: Product, state: State) -> State:
    """LSTM step; gates i, f, g, o."""
    hidden, cell = state
    sums = across(hidden, gates)
    sums[..., : 2 * hidden.shape[-1]].sigmoid_()
    i, f, g, o = sums.chunk(4, dim=-1)
    cell = (f * cell).addcmul_(i, g.tanh_())
    return o.sigmoid_() * cell.tanh(), cell


def stepper(
    layers: Sequence[Sequence[Tensor]],
    start: Callable[[Tensor], State],
    table: Tensor,
    cell: Cell,
    *,
    summed: bool,
) -> Stepper:
    """Return the step function of a one-directional stack.

    Args:
        layers: W_ih, W_hh, b_ih and b_hh of each layer, from the lowest up.
        start: Gives the state before the first step of (S,) symbols.
        table: (V, input_size), one input vector a symbol.
        cell: The step of its cell.
        summed: Whether all gates of the cell are sums of both products and both biases.

    Returns:
        A function from (S,) symbols and a state of tensors (num_layers, S, hidden_size) to
        outputs (S, output_size) and the next state.
    """
    weights = [[weight.detach() for weight in layer] for layer in layers]
    if summed:
        weights = [[w_ih, w_hh, b_ih + b_hh, b_hh] for w_ih, w_hh, b_ih, b_hh in weights]
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
        gates = gate_table.index_select(0, symbols)[None]
        ends: list[State] = []
        for layer, (below, across) in enumerate(products(len(symbols))):
            if ends:
                gates = below(ends[-1][0])
            own = state if len(weights) == 1 else tuple(part[layer, None] for part in state)
            ends.append(cell(gates, across, own))
        outputs = ends[-1][0][0]
        if len(ends) == 1:
            return outputs, ends[0]
        return outputs, tuple(torch.cat(parts) for parts in zip(*ends, strict=True))

    return step
