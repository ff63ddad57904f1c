"""One step of a stack for generation: the input product is a table look-up.

In generation the inputs are rows of a fixed table (an embedding), so ``W_ih x + b_ih`` of the first
layer takes only V values, which are computed once; a step is then one product with ``W_hh``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.interfaces import State, Stepper

if TYPE_CHECKING:
    from zoo_recurrent.stack import Stack

Cell = Callable[[Tensor, State, Tensor, Tensor], State]
"""(W_ih x + b_ih, state, W_hh, b_hh) to the next state, hidden state first; (S, any) each."""


def rnn_cell(gates: Tensor, state: State, w_hh: Tensor, b_hh: Tensor) -> State:
    """Elman step."""
    return ((gates + F.linear(state[0], w_hh, b_hh)).tanh_(),)


def gru_cell(gates: Tensor, state: State, w_hh: Tensor, b_hh: Tensor) -> State:
    """GRU step; gates r, z, n."""
    (hidden,) = state
    size = hidden.shape[1]
    recurrent = F.linear(hidden, w_hh, b_hh)
    both = (gates[:, : 2 * size] + recurrent[:, : 2 * size]).sigmoid_()
    new = torch.tanh(gates[:, 2 * size :] + both[:, :size] * recurrent[:, 2 * size :])
    return (torch.lerp(new, hidden, both[:, size:]),)


def lstm_cell(gates: Tensor, state: State, w_hh: Tensor, b_hh: Tensor) -> State:
    """LSTM step; gates i, f, g, o."""
    hidden, cell = state
    i, f, g, o = (gates + F.linear(hidden, w_hh, b_hh)).chunk(4, dim=1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


def stepper(stack: Stack, table: Tensor, cell: Cell) -> Stepper:
    """Return the step function of a one-directional stack.

    Args:
        stack: The layers.
        table: (V, input_size), one input vector a symbol.
        cell: The step of its cell.

    Returns:
        A function from (S,) symbols and a state of tensors (num_layers, S, hidden_size) to
        outputs (S, output_size) and the next state.
    """
    weights = [[w.detach() for w in stack.weights_of(layer)] for layer in range(stack.num_layers)]
    w_ih, _, b_ih, _ = weights[0]
    gate_table = F.linear(table.detach(), w_ih, b_ih)

    @torch.inference_mode()
    def step(symbols: Tensor, state: State | None) -> tuple[Tensor, State]:
        if state is None:
            state = stack.start(symbols)
        gates = gate_table[symbols]
        ends = []
        for layer, (_, w_hh, _, b_hh) in enumerate(weights):
            end = cell(gates, tuple(part[layer] for part in state), w_hh, b_hh)
            ends.append(end)
            if layer + 1 < len(weights):
                above = weights[layer + 1]
                gates = F.linear(end[0], above[0], above[2])
        return ends[-1][0], tuple(torch.stack(parts) for parts in zip(*ends, strict=True))

    return step
