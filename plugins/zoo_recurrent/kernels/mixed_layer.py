"""One direction of one layer whose matrix products are computed in bfloat16, with gradients.

For mixed precision on processors that multiply bfloat16 faster than float32. The products are
torch's, of all steps at once where that is possible; what lies between them is
:mod:`zoo_recurrent.kernels.mixed_steps`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo_recurrent.kernels.cells import CELL_STATE, CELLS, LSTM, NUM_SAVED
from zoo_recurrent.kernels.layout import split_gates
from zoo_recurrent.kernels.mixed_steps import Halves, step_backward, step_forward
from zoo_recurrent.kernels.structures import Ints
from zoo_recurrent.torch_layers import MAX_ONE_HOT


def run_layer_mixed(
    mode: str,
    inputs: Tensor,
    lengths: Tensor,
    state: tuple[Tensor, ...],
    weights: list[Tensor],
    *,
    reverse: bool,
    return_outputs: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run one direction of one layer over right-padded rows.

    Weights and what is multiplied by them are rounded to bfloat16, and so are the products, whose
    sums are float32. Cells and states are float32; but an LSTM over rows without padding is torch's
    own layer, whose states are rounded, too, and which has second derivatives.

    Arguments, results and errors are those of :func:`zoo_recurrent.kernels.run_layer`, which has
    checked them; token ids stand for one-hot vectors.
    """
    num_tokens = weights[0].shape[1]
    if not inputs.is_floating_point() and inputs.numel() * num_tokens <= MAX_ONE_HOT:
        inputs = F.one_hot(inputs, num_tokens).float()
    is_vectors = inputs.is_floating_point()
    if mode == "LSTM" and is_vectors and int(lengths.min()) == inputs.shape[1]:
        return _run_whole_rows(inputs, state, weights, reverse=reverse)
    gates = split_gates(mode, weights)
    steps = _order_steps(lengths.cpu().numpy(), inputs.shape[1], reverse=reverse)
    places, w_input = torch.from_numpy(steps.places), gates.input.flatten(0, 1)
    if is_vectors:
        read = inputs.flatten(0, 1).bfloat16().index_select(0, places)
        sums = F.linear(read, w_input.bfloat16(), gates.bias.flatten().bfloat16())
    else:
        columns = F.embedding(inputs.flatten().index_select(0, places), w_input.t())
        sums = (columns + gates.bias.flatten()).bfloat16()
    order = torch.from_numpy(steps.order)
    h_0, c_0 = (part.index_select(0, order) for part in (state[0], state[-1]))
    outputs, h, c = _Recurrence.apply(  # type: ignore[no-untyped-call]
        CELLS[mode], steps, inputs.shape[1] if return_outputs else 0, sums, h_0, c_0,
        gates.recurrent.flatten(0, 1).bfloat16(),
    )  # fmt: skip
    return outputs, ((h, c) if mode == "LSTM" else (h,))


def _run_whole_rows(
    inputs: Tensor, state: tuple[Tensor, ...], weights: list[Tensor], *, reverse: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run an LSTM over rows without padding: for these torch has a fast layer of its own."""
    inputs = inputs.flip(1) if reverse else inputs
    start = [part[None] for part in state]
    with torch.autocast("cpu", torch.bfloat16):
        outputs, h, c = torch.lstm(inputs, start, weights, True, 1, 0.0, True, False, True)
    outputs = outputs.flip(1) if reverse else outputs
    return outputs.float().contiguous(), (h[0].float(), c[0].float())


class _Steps(NamedTuple):
    """The N steps of B rows in the order in which they are computed, the longest row first.

    States are numbered, too: the initial ones 0 ... B - 1, then one for each step.

    Args:
        order: (B,), the rows.
        places: (N,), row * T + position of each step.
        sizes: How many rows have the first step, the second, and so on.
        before: (N,), the state before each step.
        ends: (B,), the state after the last step of each row, the rows as they were given.
    """

    order: Ints
    places: Ints
    sizes: list[int]
    before: Ints
    ends: Ints


def _order_steps(lengths: Ints, num_steps: int, *, reverse: bool) -> _Steps:
    order = np.argsort(-lengths, kind="stable")
    longest_first = lengths[order]
    step, rank = np.nonzero(np.arange(longest_first[0])[:, None] < longest_first)
    sizes = np.bincount(step, minlength=longest_first[0])
    starts = np.cumsum([0, len(order), *sizes])
    ends = np.empty_like(order)
    ends[order] = starts[longest_first] + np.arange(len(order))
    position = longest_first[rank] - 1 - step if reverse else step
    return _Steps(
        order, order[rank] * num_steps + position, sizes.tolist(), starts[step] + rank, ends
    )


class _Recurrence(torch.autograd.Function):
    """Everything but what the inputs are multiplied by, as a function of their products."""

    @staticmethod
    def forward(
        ctx: Any, cell: int, steps: _Steps, num_steps: int, sums: Tensor, h_0: Tensor, c_0: Tensor,
        weight: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        (batch_size, size), num_arrays = h_0.shape, NUM_SAVED[cell]
        num_states = batch_size + len(sums)
        saved = h_0.new_empty(num_states, num_arrays, size)
        hidden = sums.new_empty(num_states, size)
        saved[:batch_size, CELL_STATE if cell == LSTM else -1] = c_0
        saved[:batch_size, -1] = hidden[:batch_size] = h_0
        outputs = h_0.new_zeros(batch_size, num_steps, size)
        recurrent = sums.new_empty(batch_size, len(weight))
        transposed, before, begin = weight.t(), 0, batch_size
        for num_rows in steps.sizes:
            torch.mm(hidden[before : before + num_rows], transposed, out=recurrent[:num_rows])
            step_forward(
                cell, _bits(sums), _bits(recurrent), steps.places, saved.numpy(), _bits(hidden),
                outputs.view(-1, size).numpy(), begin, before, num_rows,
            )  # fmt: skip
            before, begin = begin, begin + num_rows
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(saved, hidden, weight)
        ctx.cell, ctx.steps, ctx.num_gates = cell, steps, sums.shape[1] // size
        ends = saved.index_select(0, torch.from_numpy(steps.ends))
        return outputs, ends[:, -1], ends[:, CELL_STATE if cell == LSTM else -1]

    @staticmethod
    def backward(
        ctx: Any, d_outputs: Tensor | None, d_h_n: Tensor | None, d_c_n: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            # torch's own once_differentiable lets it pass where the gradient is a constant.
            raise RuntimeError("second derivatives (create_graph) are not supported")
        saved, hidden, weight = ctx.saved_tensors
        cell, steps, num_gates = ctx.cell, ctx.steps, ctx.num_gates
        batch_size, size = len(steps.order), hidden.shape[1]
        first_recurrent = num_gates * size - len(weight)
        order = torch.from_numpy(steps.order)
        d_h, d_c = (
            saved.new_zeros(batch_size, size) if part is None else part.index_select(0, order)
            for part in (d_h_n, d_c_n if cell == LSTM else None)
        )
        d_values = saved.new_empty(0) if d_outputs is None else d_outputs.contiguous()
        d_values = d_values.view(-1, size)
        d_sums = hidden.new_empty(len(steps.before), num_gates * size)
        d_recurrent = hidden.new_empty(batch_size, size)
        d_gates = saved.new_empty(num_gates, size)
        begin, num_later = len(saved), 0
        for step in reversed(range(len(steps.sizes))):
            num_rows = steps.sizes[step]
            begin -= num_rows
            before = begin - steps.sizes[step - 1] if step else 0
            step_backward(
                cell, saved.numpy(), steps.places, d_values.numpy(), _bits(d_recurrent),
                d_h.numpy(), d_c.numpy(), _bits(d_sums), d_gates.numpy(), begin, before, num_rows,
                num_later,
            )  # fmt: skip
            first = begin - batch_size
            through = d_sums[first : first + num_rows, first_recurrent:]
            torch.mm(through, weight, out=d_recurrent[:num_rows])
            num_later = num_rows
        d_h[:num_later] += d_recurrent[:num_later]
        read = hidden.index_select(0, torch.from_numpy(steps.before))
        d_weight = d_sums[:, first_recurrent:].t() @ read
        return None, None, None, d_sums, d_h, d_c if cell == LSTM else None, d_weight


def _bits(values: Tensor) -> Halves:
    """Return bfloat16 as NumPy can hold it."""
    bits: Halves = values.view(torch.uint16).numpy()
    return bits
