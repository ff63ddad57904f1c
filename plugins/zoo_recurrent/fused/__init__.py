"""Recurrent layers on the CPU in float32: whole sequences in one call of compiled code.

One function, :func:`scan`. The code is compiled by numba when it is first needed, which takes some
seconds, and kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import embedding, pad

from zoo_recurrent.fused.cells import BLOCKS, GRU, LSTM, RNN
from zoo_recurrent.fused.kernels import backward, forward
from zoo_recurrent.fused.tiles import ROWS, WIDTH
from zoo_recurrent.fused.workers import each

Array = npt.NDArray[Any]

# The most rows that take a step together: more would push each other out of the cache.
_GROUP = 32
_CELLS = {"RNN_TANH": RNN, "LSTM": LSTM, "GRU": GRU}
_GATES = {"RNN_TANH": 1, "LSTM": 4, "GRU": 3}
# Whatever torch's default is at the time.
_empty, _zeros = (partial(make, dtype=torch.float32) for make in (torch.empty, torch.zeros))


def scan(
    mode: str,
    inputs: Tensor,
    lengths: Tensor,
    start: tuple[Tensor, ...],
    weights: list[Tensor],
    *,
    reverse: bool,
    table: Tensor | None = None,
    want_outputs: bool = True,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run one direction of one layer.

    Args:
        mode: ``RNN_TANH``, ``LSTM`` or ``GRU``, with the equations of torch.nn.
        inputs: (B, T, I), or indices (B, T) of rows of ``table``.
        lengths: (B,), steps of each row; what is beyond is not read, though indices have to be
            such there too.
        start: State tensors (B, H).
        weights: W_ih, W_hh, b_ih, b_hh as in torch.nn.
        reverse: Whether rows are read from their last step to their first.
        table: (N, I); None stands for the unit matrix: inputs are one-hot then.
        want_outputs: Whether outputs are needed.

    Returns:
        Outputs (B, T, H), zero at padding, or (0, 0, 0) where they are not needed; and the state
        after each row's last step.

    Raises:
        ValueError: sizes or types do not fit, or a length or an index is out of range.
        RuntimeError: on the way back, if second derivatives are asked for.
    """
    if table is not None and torch.is_grad_enabled():
        inputs, table = embedding(inputs, table), None
    _check(mode, inputs, lengths, start, weights, table)
    one_hot = table is None and not inputs.is_floating_point()
    if one_hot:
        # Of a vocabulary, few words are in a batch.
        present, inputs = inputs.unique(return_inverse=True)
        weights = [weights[0].index_select(1, present), *weights[1:]]
    w_inputs, bias, w_hidden = _by_gate(mode, weights)
    sums = bias[None]
    if one_hot:
        table, sums, w_inputs = _empty(0, 0), w_inputs.permute(2, 0, 1) + bias, w_inputs[..., :0]
    elif table is None:
        table = inputs.flatten(0, 1)
        inputs = torch.arange(len(table)).view(inputs.shape[:2])
    c_start = start[1] if mode == "LSTM" else _empty(0, 0)
    outputs, h_end, c_end = _Scan.apply(
        _CELLS[mode], table.contiguous(), inputs.long().contiguous(),
        lengths.to("cpu", torch.long).contiguous(), reverse, torch.is_grad_enabled(), want_outputs,
        start[0].contiguous(), c_start.contiguous(), w_inputs, sums, w_hidden,
    )  # fmt: skip
    return outputs, ((h_end, c_end) if mode == "LSTM" else (h_end,))


def _check(
    mode: str,
    inputs: Tensor,
    lengths: Tensor,
    start: tuple[Tensor, ...],
    weights: list[Tensor],
    table: Tensor | None,
) -> None:
    """Refuse what does not fit: the compiled code would read whatever lies beyond an array."""
    size, width = weights[1].shape[-1], weights[0].shape[-1]
    rows = _GATES[mode] * size
    if [tuple(w.shape) for w in weights] != [(rows, width), (rows, size), (rows,), (rows,)]:
        raise ValueError(f"weights are not those of {mode} from {width} to {size}")
    if width < 1 or size < 1:
        raise ValueError(f"a size is 0: {width} to {size}")
    coded = not inputs.is_floating_point()
    if inputs.dim() != (2 if coded else 3) or not (coded or inputs.shape[2] == width):
        raise ValueError(f"inputs {tuple(inputs.shape)} are not rows of steps of {width}")
    batch, steps = inputs.shape[:2]
    if not batch or not steps:
        raise ValueError("no rows or no steps")
    if table is not None and (not coded or table.dim() != 2 or table.shape[1] != width):
        raise ValueError(f"the table is not rows of {width}, or inputs are no indices")
    count = width if table is None else len(table)
    if coded and not 0 <= int(inputs.min()) <= int(inputs.max()) < count:
        raise ValueError(f"an index is not in 0 ... {count - 1}")
    if (
        lengths.shape != (batch,)
        or lengths.is_floating_point()
        or not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps
    ):
        raise ValueError(f"lengths are not {batch} whole numbers in 0 ... {steps}")
    if [tuple(part.shape) for part in start] != [(batch, size)] * (2 if mode == "LSTM" else 1):
        raise ValueError(f"the state of {mode} is not as many times ({batch}, {size}) as it should")
    vectors = table if coded else inputs
    for value in (*weights, *start, *(() if vectors is None else (vectors,))):
        if value.dtype != torch.float32 or value.device.type != "cpu":
            raise ValueError("not everything is float32 on the CPU")


def _by_gate(mode: str, weights: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return W_ih (gates, H, I), the bias (gates, H) and W_hh (gates that read h, H, H).

    The GRU's new gate is two here, n of x and n of h, which meet only after the reset gate; in the
    order n of x, r, z, n of h those that read inputs are the first three, and h the last three.
    """
    w_ih, w_hh, b_ih, b_hh = weights
    size = w_hh.shape[1]
    w_hidden = w_hh.view(-1, size, size)
    if mode != "GRU":
        return w_ih.view(-1, size, w_ih.shape[1]), (b_ih + b_hh).view(-1, size), w_hidden
    w_inputs = torch.cat((w_ih[2 * size :], w_ih[: 2 * size], torch.zeros_like(w_ih[:size])))
    both = b_ih[: 2 * size] + b_hh[: 2 * size]
    bias = torch.cat((b_ih[2 * size :], both, b_hh[2 * size :]))
    return w_inputs.view(4, size, -1), bias.view(4, size), w_hidden


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, cell: int, values: Tensor, codes: Tensor, lengths: Tensor, reverse: bool,
        keep: bool, want_outputs: bool, h_start: Tensor, c_start: Tensor, w_inputs: Tensor,
        sums: Tensor, w_hidden: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        (batch, steps), size = codes.shape, h_start.shape[1]
        workers, units = min(torch.get_num_threads(), -(-batch // ROWS)), _up(size, WIDTH)
        # A view of a parameter asks for a gradient even where none is computed.
        keep = keep and any(ctx.needs_input_grad)
        order, first = _deal(lengths.numpy(), workers)
        blocks, block = BLOCKS[cell], _up(int(np.diff(first).max()), ROWS) * units
        states = lengths.numpy()[order[first[:-1]]] + 1 if keep else np.full(len(first) - 1, 2)
        bounds = np.stack((first, np.cumsum([0, *states * blocks * block])), axis=1)
        saved = _empty(int(bounds[-1, 1]))
        outputs = _empty(batch, steps, size) if want_outputs else _empty(0, 0, 0)
        h_end, c_end = torch.empty_like(h_start), torch.empty_like(c_start)
        starts = pad(sums, (0, units - size)) if units > size else sums
        _run(
            forward, workers, cell, values, codes, lengths, order, bounds, reverse, h_start,
            c_start, _panels(w_inputs.transpose(1, 2)), starts.contiguous(),
            _panels(w_hidden.transpose(1, 2)), blocks, block, keep, saved, outputs, h_end, c_end,
        )  # fmt: skip
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(values, codes, lengths, w_inputs, w_hidden, saved)
        ctx.cell, ctx.reverse, ctx.workers, ctx.block = cell, reverse, workers, block
        ctx.order, ctx.bounds, ctx.sums = order, bounds, len(sums)
        return outputs, h_end, c_end

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, d_outputs: Tensor | None, d_h_end: Tensor | None, d_c_end: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            # torch's own once_differentiable lets it pass where the slope is a constant.
            raise RuntimeError("no second derivatives here: create_graph is not supported")
        values, codes, lengths, w_inputs, w_hidden, saved = ctx.saved_tensors
        gates, size, width = w_inputs.shape
        # Gates that read the state.
        units, hearing = _up(size, WIDTH), len(w_hidden)
        d_h_start = _empty(len(codes), size)
        d_c_start = torch.empty_like(d_h_start) if ctx.cell == LSTM else _empty(0, 0)
        d_values = _empty(values.shape if ctx.needs_input_grad[1] else (0, 0))
        summed = not len(values)
        shape = (ctx.sums, gates * units) if summed else (gates * units, _up(width + 1, WIDTH))
        d_read = _zeros(ctx.workers, *shape)
        d_hidden = _zeros(ctx.workers, hearing * units, units)
        _run(
            backward, ctx.workers, ctx.cell, values, codes, lengths, ctx.order, ctx.bounds,
            ctx.reverse, _panels(w_inputs), _panels(w_hidden), BLOCKS[ctx.cell], ctx.block, saved,
            _empty(0, 0, 0) if d_outputs is None else d_outputs.contiguous(),
            torch.zeros_like(d_h_start) if d_h_end is None else d_h_end.contiguous(),
            torch.zeros_like(d_c_start) if d_c_end is None else d_c_end.contiguous(),
            d_values, d_h_start, d_c_start, d_read, d_hidden,
        )  # fmt: skip
        d_read = d_read.sum(0)
        if summed:
            d_w_inputs, d_sums = None, d_read.view(-1, gates, units)[..., :size]
        else:
            d_read = d_read.view(gates, units, -1)[:, :size]
            d_w_inputs, d_sums = d_read[..., :width], d_read[None, ..., width]
        return (
            None, d_values if ctx.needs_input_grad[1] else None, None, None, None, None, None,
            d_h_start, d_c_start, d_w_inputs, d_sums,
            d_hidden.sum(0).view(hearing, units, units)[:, :size, :size],
        )  # fmt: skip


def _deal(lengths: Array, workers: int) -> tuple[Array, Array]:
    """Deal the rows out to workers, and each one's to groups of at most _GROUP rows.

    Returns:
        The rows (B,), those of a group together and the longest first; and where each group begins
        and the last one ends (groups + 1,). Workers have equally many groups and equal work.
    """
    order = np.argsort(-lengths, kind="stable")
    hands = [order[worker::workers] for worker in range(workers)]
    groups = -(-len(hands[0]) // _GROUP)
    first = [0]
    for hand in hands:
        begin, tiles = first[-1], -(-len(hand) // ROWS)
        # Only a hand's last group may end within a tile.
        ends = (ROWS * (tiles * group // groups) for group in range(1, groups + 1))
        first += [begin + min(end, len(hand)) for end in ends]
    return np.concatenate(hands), np.array(first)


def _panels(matrices: Tensor) -> Tensor:
    """Return N matrices (rows, columns) as (N, panels, rows, WIDTH), contiguous."""
    columns = matrices.shape[2]
    wide = pad(matrices, (0, _up(columns, WIDTH) - columns))
    return wide.unflatten(2, (wide.shape[2] // WIDTH, WIDTH)).transpose(1, 2).contiguous()


def _run(kernel: Callable[..., None], workers: int, *arguments: Any) -> None:
    plain = [a.detach().numpy() if isinstance(a, Tensor) else a for a in arguments]
    each(lambda worker: kernel(*plain, worker, workers), workers)


def _up(count: int, unit: int) -> int:
    """Round up to a multiple."""
    return -(-count // unit) * unit
