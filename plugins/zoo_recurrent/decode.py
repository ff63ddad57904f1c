"""One step at a time, for generation: the input product of the first layer is a table look-up.

In generation the inputs are rows of a fixed table (an embedding, or one-hot vectors), so
``W_ih x + b_ih`` of the first layer takes only V values, which are computed once; a step is then
one product with ``W_hh``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.interfaces import DecodeStep, State


class MatMul:
    """``addend + W x``, again and again for as many rows as before, in the fastest way there is.

    Args:
        weight: (N, M).
        bias: (N,), the addend where no other is given.
        num_rows: How many rows x will have.
    """

    def __init__(self, weight: Tensor, bias: Tensor, num_rows: int) -> None:
        self._weight, self._bias = weight, bias
        self._multiply = self._linear
        if weight.device.type != "cpu":
            return
        parts = math.gcd(torch.get_num_threads(), len(weight))
        if num_rows == 1 and parts > 1:
            # One row reads the whole matrix and computes next to nothing. MKL reads it with one
            # thread, a batch of parts with all of them.
            self._parts = weight.view(parts, -1, weight.shape[1]).transpose(1, 2).contiguous()
            self._multiply = self._batched
        elif (
            num_rows > 1 and weight.dtype == torch.float32 and torch.backends.mkldnn.is_available()
        ):
            # oneDNN is twice as fast as MKL at these, at least on AMD processors.
            self._weight = weight.to_mkldnn()
            self._multiply = self._mkldnn

    def __call__(self, values: Tensor, addend: Tensor | None = None) -> Tensor:
        """Return (1, num_rows, N) of values (1, num_rows, M) and (..., N)."""
        return self._multiply(values, self._bias if addend is None else addend)

    def _linear(self, values: Tensor, addend: Tensor) -> Tensor:
        return F.linear(values, self._weight).add_(addend)

    def _mkldnn(self, values: Tensor, addend: Tensor) -> Tensor:
        return F.linear(values.to_mkldnn(), self._weight).to_dense().add_(addend)

    def _batched(self, values: Tensor, addend: Tensor) -> Tensor:
        parts = len(self._parts)
        rows = values.expand(parts, 1, -1)
        return torch.baddbmm(addend.view(parts, 1, -1), rows, self._parts).view(1, 1, -1)


Cell = Callable[[Tensor, MatMul, State], State]
"""(input part of the gates, product with W_hh, state) to the next state, hidden state first.

State and gates are (1, N, any). The input part is W_ih x + b_ih, and + b_hh where biases are added.
"""


def rnn_cell(gates: Tensor, recurrent: MatMul, state: State) -> State:
    """Take an Elman step."""
    return (recurrent(state[0], gates).tanh_(),)


def gru_cell(gates: Tensor, recurrent: MatMul, state: State) -> State:
    """Take a GRU step; gates r, z, n."""
    (hidden,) = state
    size = hidden.shape[-1]
    sums = recurrent(hidden)
    r_and_z = (gates[..., : 2 * size] + sums[..., : 2 * size]).sigmoid_()
    new = torch.tanh(gates[..., 2 * size :] + r_and_z[..., :size] * sums[..., 2 * size :])
    return (torch.lerp(new, hidden, r_and_z[..., size:]),)


def lstm_cell(gates: Tensor, recurrent: MatMul, state: State) -> State:
    """Take an LSTM step; gates i, f, g, o."""
    hidden, cell = state
    sums = recurrent(hidden, gates)
    sums[..., : 2 * hidden.shape[-1]].sigmoid_()
    i, f, g, o = sums.chunk(4, dim=-1)
    cell = (f * cell).addcmul_(i, g.tanh_())
    return o.sigmoid_() * cell.tanh(), cell


def make_decode_step(
    layers: Sequence[Sequence[Tensor]],
    get_initial_state: Callable[[int], State],
    embedding: Tensor | None,
    cell: Cell,
    *,
    add_biases: bool,
) -> DecodeStep:
    """Return the step function of a one-directional stack.

    Args:
        layers: W_ih, W_hh, b_ih and b_hh of each layer, from the lowest up.
        get_initial_state: From N to the state before the first step of N samples.
        embedding: (V, input_size), the input vector of each token id; None: one-hot vectors.
        cell: Takes one step of a layer.
        add_biases: Whether b_hh is added to b_ih; not for cells that use it elsewhere.

    Returns:
        A function from (N,) token ids and a state of tensors (num_layers, N, hidden_size) to
        outputs (N, hidden_size) and the next state.
    """
    weights = [[weight.detach() for weight in layer] for layer in layers]
    if add_biases:
        weights = [[w_ih, w_hh, b_ih + b_hh, b_hh] for w_ih, w_hh, b_ih, b_hh in weights]
    w_ih, _, b_ih, _ = weights[0]
    if embedding is None:
        gate_table = (w_ih.t() + b_ih).contiguous()
    else:
        gate_table = F.linear(embedding.detach(), w_ih, b_ih)

    @functools.cache
    def products(num_rows: int) -> list[tuple[MatMul, MatMul]]:
        """Return those with W_ih and with W_hh of every layer."""
        return [
            (MatMul(w_ih, b_ih, num_rows), MatMul(w_hh, b_hh, num_rows))
            for w_ih, w_hh, b_ih, b_hh in weights
        ]

    def step(token_ids: Tensor, state: State | None) -> tuple[Tensor, State]:
        if state is None:
            state = get_initial_state(len(token_ids))
        gates = gate_table.index_select(0, token_ids)[None]
        ends: list[State] = []
        for layer, (from_below, recurrent) in enumerate(products(len(token_ids))):
            if ends:
                gates = from_below(ends[-1][0])
            before = state if len(weights) == 1 else tuple(part[layer, None] for part in state)
            ends.append(cell(gates, recurrent, before))
        outputs = ends[-1][0][0]
        if len(ends) == 1:
            return outputs, ends[0]
        return outputs, tuple(torch.cat(parts) for parts in zip(*ends, strict=True))

    return step
