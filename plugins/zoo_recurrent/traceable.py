"""Stacks of recurrent layers by operations that ``torch.export`` can trace.

No shape depends on values here: padding is computed, too, and masked. Where the number of steps is
left open, a layer is a ``scan`` of one step; where it is fixed, it is torch's own layer, which the
exporter would trace for that number of steps alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.interfaces import State
from zoo.nn import gather_last, length_mask, reverse_padded
from zoo_recurrent.torch_layers import look_up_columns

if TYPE_CHECKING:
    from zoo_recurrent.backends import Layers

# A gate whose sum is this is 1, or with the other sign 0, whatever else is added. float16 has it.
_SATURATED = 1e4


def run_traceable(
    layers: Layers, inputs: Tensor, lengths: Tensor, state: State
) -> tuple[Tensor, State]:
    """Run a stack over padded rows.

    Arguments and results are those of :func:`zoo_recurrent.backends.run_layers`.
    """
    weights = layers.weights
    if not inputs.is_floating_point():
        inputs, weights = look_up_columns(layers, inputs)
    mask = length_mask(lengths, inputs.shape[1])[..., None]
    run_layer = _scan_layer if isinstance(inputs.shape[1], torch.SymInt) else _call_torch
    values = inputs.masked_fill(~mask, 0)
    ends: list[State] = []
    for layer in range(layers.num_layers):
        if layer and layers.dropout:
            values = layers.drop(values)
        directions = []
        for direction in range(layers.num_directions):
            index = layer * layers.num_directions + direction
            ordered = reverse_padded(values, lengths) if direction else values
            start = tuple(part[index] for part in state)
            outputs, end = run_layer(layers, weights[index], ordered, lengths, mask, start)
            directions.append(reverse_padded(outputs, lengths) if direction else outputs)
            ends.append(end)
        values = torch.cat(directions, dim=2) if len(directions) > 1 else directions[0]
    return values, tuple(torch.stack(parts) for parts in zip(*ends, strict=True))


def _call_torch(
    layers: Layers,
    weights: list[Tensor],
    inputs: Tensor,
    lengths: Tensor,
    mask: Tensor,
    state: State,
) -> tuple[Tensor, State]:
    """Run one direction of one layer over rows (B, T, I) by torch's layer; mask is (B, T, 1)."""
    settings = (True, 1, 0.0, layers.training, False, True)
    start = tuple(part[None] for part in state)
    rest: State = ()
    if layers.mode == "LSTM":
        # One more input, which is 1 at padding, closes the input gate there and opens the forget
        # gate, so that the cell state stays what it was after the row's last step.
        w_ih, *others = weights
        size = w_ih.shape[0] // 4
        column = torch.cat(
            [w_ih.new_full((size, 1), value) for value in (-_SATURATED, _SATURATED, 0.0, 0.0)]
        )
        outputs, _, c = torch.lstm(
            torch.cat((inputs, (~mask).to(inputs.dtype)), dim=2),
            start,
            [torch.cat((w_ih, column), dim=1), *others],
            *settings,
        )
        rest = (c[0],)
    else:
        function = torch.gru if layers.mode == "GRU" else torch.rnn_tanh
        outputs, _ = function(inputs, start[0], weights, *settings)
    outputs = outputs.masked_fill(~mask, 0)
    # The last output is the hidden state; a row without steps has none.
    h = torch.where(lengths[:, None] > 0, gather_last(outputs, lengths), state[0])
    return outputs, (h, *rest)


def _scan_layer(
    layers: Layers,
    weights: list[Tensor],
    inputs: Tensor,
    lengths: Tensor,
    mask: Tensor,
    state: State,
) -> tuple[Tensor, State]:
    """Run one direction of one layer by a scan over steps; arguments are those above."""
    # A prototype of torch; it is not public yet.
    from torch._higher_order_ops.scan import scan

    w_ih, w_hh, b_ih, b_hh = weights

    def step(old: State, read: tuple[Tensor, Tensor]) -> tuple[State, Tensor]:
        gates, is_step = read
        new = _take_step(layers.mode, gates, F.linear(old[0], w_hh, b_hh), old)
        outputs = new[0] * is_step
        return tuple(torch.where(is_step, *pair) for pair in zip(new, old, strict=True)), outputs

    read = (F.linear(inputs, w_ih, b_ih).transpose(0, 1), mask.transpose(0, 1))
    end, outputs = scan(step, state, read)
    return outputs.transpose(0, 1), end


def run_steps(step: Callable[[Tensor, Tensor], Tensor], start: Tensor, inputs: Tensor) -> Tensor:
    """Return the outputs (B, T, O) of a function that is applied to one step after another.

    Where the number of steps is left open it is a scan, else a loop.

    Args:
        step: From the last output (B, O) and an input (B, I) to the next output.
        start: (B, O), the output before the first step.
        inputs: (B, T, I).
    """
    if isinstance(inputs.shape[1], torch.SymInt):
        # A prototype of torch; it is not public yet.
        from torch._higher_order_ops.scan import scan

        def take(old: Tensor, read: Tensor) -> tuple[Tensor, Tensor]:
            new = step(old, read)
            return new, new.clone()  # A scan does not return one tensor twice.

        by_step: Tensor = scan(take, start, inputs.transpose(0, 1))[1]
        return by_step.transpose(0, 1)
    outputs = []
    for read in inputs.unbind(1):
        start = step(start, read)
        outputs.append(start)
    return torch.stack(outputs, dim=1)


def _take_step(mode: str, gates: Tensor, recurrent: Tensor, state: State) -> State:
    """Return the next state of W_ih x + b_ih and W_hh h + b_hh, each (B, gates)."""
    if mode == "LSTM":
        i, f, g, o = (gates + recurrent).chunk(4, dim=1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    if mode == "GRU":
        size = state[0].shape[1]
        r, z = (gates[:, : 2 * size] + recurrent[:, : 2 * size]).sigmoid().chunk(2, dim=1)
        n = torch.tanh(gates[:, 2 * size :] + r * recurrent[:, 2 * size :])
        return ((1 - z) * n + z * state[0],)
    return (torch.tanh(gates + recurrent),)
