"""The forward pass of one direction of one layer: all steps of a group of rows in one call.

A group's longest rows come first, so that at each step the rows that still have steps stand in
front: nothing is computed for padding. States and gates are ``units`` wide, the hidden size rounded
up to whole panels; weights beyond the hidden size are zero, and with them all values there.

Nothing is checked here: see :mod:`zoo_recurrent.kernels.checks`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zoo_recurrent.kernels import cells
from zoo_recurrent.kernels.cells import CELL_STATE, LSTM
from zoo_recurrent.kernels.compiler import cached_jit, inlined_jit, jit
from zoo_recurrent.kernels.matmul import FLOAT_BYTES, PANEL_WIDTH, TILE_ROWS, matmul
from zoo_recurrent.kernels.structures import (
    Batching,
    Floats,
    Inputs,
    Ints,
    Results,
    SavedSteps,
    State,
    Weights,
)


class _StepInputs(NamedTuple):
    """What the rows of a group read at one step.

    Args:
        token_ids: (rows,).
        vectors: (rows,), addresses of input vectors.
        hidden: (rows,), addresses of hidden states.
        bias: (gates, rows), addresses of what the sums of the gates start from.
    """

    token_ids: Ints
    vectors: Ints
    hidden: Ints
    bias: Ints


@jit
def copy(source: Floats, target: Floats) -> None:
    """Fill the target with the first values of the source."""
    for j in range(target.size):
        target[j] = source[j]


@jit
def copy_padded(source: Floats, target: Floats) -> None:
    """Copy the source to the front of the target, and zeros behind it."""
    copy(source, target[: source.size])
    target[source.size :] = 0


@jit
def step_index(batching: Batching, row: int, step: int) -> int:
    """Return which step of the row is read as the ``step``-th."""
    return batching.lengths[row] - 1 - step if batching.reverse else step


@cached_jit
def forward(
    cell: int, batching: Batching, inputs: Inputs, weights: Weights, initial: State,
    saved: SavedSteps, results: Results, thread: int,
) -> None:  # fmt: skip
    """Compute the groups of one thread.

    Args:
        cell: RNN, LSTM or GRU.
        batching: Which rows are computed together.
        inputs: What is read at each step.
        weights: The parameters.
        initial: The state before the first step.
        saved: Written: the gates and states of the steps.
        results: Written: outputs, zero at padding, and the state after each row's last step.
        thread: Which thread's groups are computed.
    """
    lengths, bounds = batching.lengths, batching.bounds
    num_gates, units = weights.bias.shape[1], weights.bias.shape[2]
    max_rows, hidden = saved.array_size // units, saved.num_arrays - 1
    one_hot = inputs.vectors.shape[0] == 0
    read = _StepInputs(
        np.empty(max_rows, np.int64),
        np.full(max_rows, inputs.vectors.ctypes.data),
        np.empty(max_rows, np.int64),
        np.empty((num_gates, max_rows), np.int64),
    )
    for gate in range(num_gates):
        read.bias[gate] = weights.bias[0, gate].ctypes.data
    groups_per_thread = (bounds.shape[0] - 1) // batching.num_threads
    for group in range(thread * groups_per_thread, (thread + 1) * groups_per_thread):
        rows = batching.order[bounds[group, 0] : bounds[group + 1, 0]]
        steps = saved.values[bounds[group, 1] : bounds[group + 1, 1]].reshape(
            -1, saved.num_arrays, saved.array_size
        )
        _initialize(cell, batching, rows, initial, steps[0], results)
        num_active = rows.size
        for step in range(lengths[rows[0]]):
            while lengths[rows[num_active - 1]] <= step:
                num_active -= 1
            # Whole tiles are computed.
            num_computed = (num_active + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS
            at = step if saved.every_step else step % 2
            old, new = steps[at], steps[at + 1 if saved.every_step else 1 - at]
            for r in range(num_active):
                token_id = inputs.token_ids[rows[r], step_index(batching, rows[r], step)]
                read.token_ids[r] = token_id
                if one_hot:
                    for gate in range(num_gates):
                        read.bias[gate, r] = weights.bias[token_id, gate].ctypes.data
                else:
                    read.vectors[r] = inputs.vectors[token_id].ctypes.data
            for r in range(num_computed):
                read.hidden[r] = old[hidden, r * units :].ctypes.data
            _sum_gates(weights, one_hot, read, num_active, num_computed, new)
            cells.step(cell, old, new, num_active * units)
            for r in range(num_active):
                row = rows[r]
                if results.outputs.size:
                    target = results.outputs[row, step_index(batching, row, step)]
                    copy(new[hidden, r * units :], target)
                if step == lengths[row] - 1:
                    copy(new[hidden, r * units :], results.state.h[row])
                    if cell == LSTM:
                        copy(new[CELL_STATE, r * units :], results.state.c[row])


@inlined_jit
def _initialize(
    cell: int, batching: Batching, rows: Ints, initial: State, saved_step: Floats, results: Results
) -> None:
    """Write the initial state to the saved steps, and what stays for rows without steps."""
    hidden = saved_step.shape[0] - 1
    units = (results.state.h.shape[1] + PANEL_WIDTH - 1) // PANEL_WIDTH * PANEL_WIDTH
    for r in range(rows.size):
        row, row_slice = rows[r], slice(r * units, (r + 1) * units)
        if results.outputs.size:
            results.outputs[row, batching.lengths[row] :] = 0
        copy_padded(initial.h[row], saved_step[hidden, row_slice])
        copy(initial.h[row], results.state.h[row])
        if cell == LSTM:
            copy_padded(initial.c[row], saved_step[CELL_STATE, row_slice])
            copy(initial.c[row], results.state.c[row])


@inlined_jit
def _sum_gates(
    weights: Weights, one_hot: bool, read: _StepInputs, num_active: int, num_computed: int,
    new: Floats,
) -> None:  # fmt: skip
    """Write W x + W h + b of every gate of a step to ``new``."""
    num_gates, units = weights.bias.shape[1], weights.bias.shape[2]
    input_size, hidden_size = weights.input.shape[2], weights.recurrent.shape[2]
    # Of the GRU's gates the first reads no state, and the last no input.
    first_recurrent = num_gates - weights.recurrent.shape[0]
    num_panels = units // PANEL_WIDTH
    for gate in range(num_gates):
        initial = read.bias[gate].ctypes.data
        if not one_hot and gate < num_gates - first_recurrent:
            matmul(
                read.vectors.ctypes.data, FLOAT_BYTES, num_computed,
                weights.input[gate].ctypes.data, input_size * PANEL_WIDTH * FLOAT_BYTES,
                PANEL_WIDTH * FLOAT_BYTES, num_panels, input_size,
                new[gate].ctypes.data, units * FLOAT_BYTES, initial,
            )  # fmt: skip
            initial = 0
        if gate >= first_recurrent:
            matmul(
                read.hidden.ctypes.data, FLOAT_BYTES, num_computed,
                weights.recurrent[gate - first_recurrent].ctypes.data,
                hidden_size * PANEL_WIDTH * FLOAT_BYTES, PANEL_WIDTH * FLOAT_BYTES,
                num_panels, hidden_size, new[gate].ctypes.data, units * FLOAT_BYTES, initial,
            )  # fmt: skip
        elif one_hot:
            for r in range(num_active):
                bias = weights.bias[read.token_ids[r], gate]
                copy(bias, new[gate, r * units : (r + 1) * units])
