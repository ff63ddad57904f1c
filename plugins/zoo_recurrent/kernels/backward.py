"""The backward pass of one direction of one layer, over what the forward pass saved.

``d_x`` is the derivative of the loss by x. The gradients of the weights are sums over steps of
products of a column and a row; they are computed as matrix products over ``_STEPS_PER_PRODUCT``
row-steps (steps of rows) at once.

Nothing is checked here: see :mod:`zoo_recurrent.kernels.checks`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zoo_recurrent.kernels import cells
from zoo_recurrent.kernels.cells import LSTM
from zoo_recurrent.kernels.compiler import cached_jit, inlined_jit, jit
from zoo_recurrent.kernels.forward import copy, copy_padded, step_index
from zoo_recurrent.kernels.matmul import (
    FLOAT_BYTES,
    PANEL_WIDTH,
    TILE_ROWS,
    aligned_zeros,
    matmul,
)
from zoo_recurrent.kernels.structures import (
    Batching,
    Floats,
    Gradients,
    Inputs,
    Ints,
    Results,
    SavedSteps,
)

# Row-steps whose part of the weights' gradients is summed at once, so that they stay in the cache.
_STEPS_PER_PRODUCT = 256
# Floats between rows whose length is a power of two, which would evict each other from the cache.
_ROW_GAP = 16


class _Buffer(NamedTuple):
    """Row-steps whose part of the weights' gradients is not yet summed; C of them fit.

    Args:
        d_gates: (gates, C * units).
        vectors: (C * padded input size,), input vectors, each with a 1 behind it for the bias.
        hidden: (C * padded units,), hidden states before the step.
    """

    d_gates: Floats
    vectors: Floats
    hidden: Floats


@jit
def _add(source: Floats, target: Floats) -> None:
    """Add the first values of the source to the target."""
    for j in range(target.size):
        target[j] += source[j]


@cached_jit
def backward(
    cell: int, batching: Batching, inputs: Inputs, input_weights: Floats,
    recurrent_weights: Floats, saved: SavedSteps, d_results: Results, gradients: Gradients,
    thread: int,
) -> None:  # fmt: skip
    """Compute the gradients of the groups of one thread.

    Args:
        cell: RNN, LSTM or GRU.
        batching: As in the forward pass.
        inputs: As in the forward pass.
        input_weights: (gates, panels of I, H, PANEL_WIDTH), transposed.
        recurrent_weights: (recurrent gates, panels of H, H, PANEL_WIDTH), transposed.
        saved: What the forward pass wrote.
        d_results: The gradients of the loss by what the layer returned.
        gradients: Written, and added to where they are sums by thread.
        thread: Which thread's groups are computed.
    """
    lengths, bounds = batching.lengths, batching.bounds
    num_gates, hidden_size = input_weights.shape[0], recurrent_weights.shape[2]
    units, hidden = recurrent_weights.shape[1] * PANEL_WIDTH, saved.num_arrays - 1
    one_hot, input_size = inputs.vectors.shape[0] == 0, inputs.vectors.shape[1]
    max_rows = saved.array_size // units
    capacity = _STEPS_PER_PRODUCT + max_rows
    d_input = gradients.input[thread]
    vector_stride, hidden_stride = d_input.shape[1], units + _ROW_GAP
    vectors = aligned_zeros(0 if one_hot else capacity * vector_stride)
    hidden_states = aligned_zeros(capacity * hidden_stride)
    d_gates = aligned_zeros(num_gates * capacity * units).reshape(num_gates, capacity * units)
    d_h, d_c = aligned_zeros(saved.array_size), aligned_zeros(saved.array_size)
    d_x = aligned_zeros(max_rows * input_weights.shape[1] * PANEL_WIDTH)
    buffer = _Buffer(d_gates, vectors, hidden_states)
    for n in range(0 if one_hot else capacity):
        buffer.vectors[n * vector_stride + input_size] = 1
    addresses = np.empty(max(max_rows, units), np.int64)
    groups_per_thread = (bounds.shape[0] - 1) // batching.num_threads
    for group in range(thread * groups_per_thread, (thread + 1) * groups_per_thread):
        rows = batching.order[bounds[group, 0] : bounds[group + 1, 0]]
        steps = saved.values[bounds[group, 1] : bounds[group + 1, 1]].reshape(
            -1, saved.num_arrays, saved.array_size
        )
        _initialize(cell, batching, inputs, rows, d_results, gradients)
        num_active = num_buffered = 0
        for step in range(lengths[rows[0]] - 1, -1, -1):
            while num_active < rows.size and lengths[rows[num_active]] > step:
                row_slice = slice(num_active * units, (num_active + 1) * units)
                copy_padded(d_results.state.h[rows[num_active]], d_h[row_slice])
                if cell == LSTM:
                    copy_padded(d_results.state.c[rows[num_active]], d_c[row_slice])
                num_active += 1
            old, new = steps[step], steps[step + 1]
            for r in range(num_active):
                row, n = rows[r], num_buffered + r
                t = step_index(batching, row, step)
                if d_results.outputs.size:
                    _add(d_results.outputs[row, t], d_h[r * units : r * units + hidden_size])
                if not one_hot:
                    begin = n * vector_stride
                    vector = inputs.vectors[inputs.token_ids[row, t]]
                    copy(vector, buffer.vectors[begin : begin + input_size])
                begin = n * hidden_stride
                copy(old[hidden, r * units :], buffer.hidden[begin : begin + units])
            begin = num_buffered * units
            cells.step_backward(cell, new, old, d_h, d_c, buffer.d_gates, begin, num_active * units)
            _multiply_back(
                input_weights, recurrent_weights, buffer.d_gates, begin, num_active, addresses,
                gradients.vectors.size > 0, d_h, d_x,
            )  # fmt: skip
            for r in range(num_active):
                row = rows[r]
                token_id = inputs.token_ids[row, step_index(batching, row, step)]
                for gate in range(num_gates if one_hot else 0):
                    begin = (num_buffered + r) * units
                    target = d_input[token_id, gate * units : (gate + 1) * units]
                    _add(buffer.d_gates[gate, begin : begin + units], target)
                if gradients.vectors.size:
                    begin = r * input_weights.shape[1] * PANEL_WIDTH
                    copy(d_x[begin:], gradients.vectors[token_id])
                if step == 0:
                    copy(d_h[r * units :], gradients.state.h[row])
                    if cell == LSTM:
                        copy(d_c[r * units :], gradients.state.c[row])
            num_buffered += num_active
            if step == 0 or num_buffered + max_rows > capacity:
                _add_products(
                    buffer, num_buffered, addresses, d_input, gradients.recurrent[thread], one_hot
                )
                num_buffered = 0


@inlined_jit
def _initialize(
    cell: int, batching: Batching, inputs: Inputs, rows: Ints, d_results: Results,
    gradients: Gradients,
) -> None:  # fmt: skip
    """Write the gradients at padding, and those of rows without steps."""
    for row in rows:
        for t in range(
            batching.lengths[row], inputs.token_ids.shape[1] if gradients.vectors.size else 0
        ):
            gradients.vectors[inputs.token_ids[row, t]] = 0
        copy(d_results.state.h[row], gradients.state.h[row])
        if cell == LSTM:
            copy(d_results.state.c[row], gradients.state.c[row])


@inlined_jit
def _multiply_back(
    input_weights: Floats, recurrent_weights: Floats, d_gates: Floats, begin: int,
    num_active: int, addresses: Ints, needs_d_x: bool, d_h: Floats, d_x: Floats,
) -> None:  # fmt: skip
    """Add what passes through the gates to d_h; where it is needed, write d_x."""
    num_gates, hidden_size = input_weights.shape[0], recurrent_weights.shape[2]
    first_recurrent = num_gates - recurrent_weights.shape[0]
    units = recurrent_weights.shape[1] * PANEL_WIDTH
    padded_input_size = input_weights.shape[1] * PANEL_WIDTH
    num_computed = (num_active + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS
    if needs_d_x:
        d_x[: num_computed * padded_input_size] = 0
    for gate in range(num_gates):
        for r in range(num_computed):
            addresses[r] = d_gates[gate, begin + r * units :].ctypes.data
        if gate >= first_recurrent:
            matmul(
                addresses.ctypes.data, FLOAT_BYTES, num_computed,
                recurrent_weights[gate - first_recurrent].ctypes.data,
                hidden_size * PANEL_WIDTH * FLOAT_BYTES, PANEL_WIDTH * FLOAT_BYTES,
                units // PANEL_WIDTH, hidden_size, d_h.ctypes.data, units * FLOAT_BYTES, 0,
            )  # fmt: skip
        if needs_d_x and gate < num_gates - first_recurrent:
            matmul(
                addresses.ctypes.data, FLOAT_BYTES, num_computed,
                input_weights[gate].ctypes.data, hidden_size * PANEL_WIDTH * FLOAT_BYTES,
                PANEL_WIDTH * FLOAT_BYTES, padded_input_size // PANEL_WIDTH, hidden_size,
                d_x.ctypes.data, padded_input_size * FLOAT_BYTES, 0,
            )  # fmt: skip


@inlined_jit
def _add_products(
    buffer: _Buffer, num_buffered: int, addresses: Ints, d_input: Floats, d_recurrent: Floats,
    one_hot: bool,
) -> None:  # fmt: skip
    """Add the buffered row-steps to the gradients of the weights."""
    num_gates, units = buffer.d_gates.shape[0], d_recurrent.shape[1]
    first_recurrent = num_gates - d_recurrent.shape[0] // units
    vector_stride, hidden_stride = d_input.shape[1], units + _ROW_GAP
    for gate in range(num_gates):
        for unit in range(units):
            addresses[unit] = buffer.d_gates[gate, unit:].ctypes.data
        if not one_hot:
            matmul(
                addresses.ctypes.data, units * FLOAT_BYTES, units,
                buffer.vectors.ctypes.data, PANEL_WIDTH * FLOAT_BYTES, vector_stride * FLOAT_BYTES,
                vector_stride // PANEL_WIDTH, num_buffered,
                d_input[gate * units].ctypes.data, vector_stride * FLOAT_BYTES, 0,
            )  # fmt: skip
        if gate >= first_recurrent:
            matmul(
                addresses.ctypes.data, units * FLOAT_BYTES, units,
                buffer.hidden.ctypes.data, PANEL_WIDTH * FLOAT_BYTES, hidden_stride * FLOAT_BYTES,
                units // PANEL_WIDTH, num_buffered,
                d_recurrent[(gate - first_recurrent) * units].ctypes.data, units * FLOAT_BYTES, 0,
            )  # fmt: skip
