"""One step of the rows of a layer whose matrix products are computed in bfloat16.

numba has no bfloat16: such values are here the upper 16 bits of a float32, as unsigned integers.
Everything else is float32: what the cells compute, the states, and their gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import uint32

from zoo_recurrent.kernels import cells
from zoo_recurrent.kernels.compiler import cached_jit, inlined_jit
from zoo_recurrent.kernels.structures import Floats, Ints

Halves = npt.NDArray[np.uint16]


@inlined_jit
def to_float(value: Any) -> Any:
    return np.uint32(np.uint32(value) << uint32(16)).view(np.float32)


@inlined_jit
def to_bfloat16(value: Any) -> Any:
    """Round to the nearest, and to even from halfway; NaN stays NaN."""
    bits = np.float32(value).view(np.uint32)
    if value != value:  # NaN
        return np.uint16(0x7FC0)
    return np.uint16((bits + uint32(0x7FFF) + ((bits >> uint32(16)) & uint32(1))) >> uint32(16))


@cached_jit
def step_forward(
    cell: int, inputs: Halves, recurrent: Halves, places: Ints, saved: Floats, hidden: Halves,
    outputs: Floats, begin: int, before: int, num_rows: int,
) -> None:  # fmt: skip
    """Take a step with the rows that have one.

    Args:
        cell: RNN, LSTM or GRU.
        inputs: (N, gates * H), W x + b of all steps.
        recurrent: (rows, recurrent gates * H), W h of this step, for the last gates.
        places: (N,), where the output of each step belongs.
        saved: (B + N, arrays, H), gates and states, from the initial state on; written.
        hidden: (B + N, H), the hidden states; written.
        outputs: (B * T, H); written, if it is not empty.
        begin: Where the rows of this step begin in ``saved``.
        before: Where those of the step before do.
        num_rows: How many rows have this step.
    """
    size, first_step = hidden.shape[1], saved.shape[0] - inputs.shape[0]
    first_recurrent = (inputs.shape[1] - recurrent.shape[1]) // size
    for r in range(num_rows):
        new, at = saved[begin + r], begin - first_step + r
        for gate in range(inputs.shape[1] // size):
            source, target = inputs[at, gate * size : (gate + 1) * size], new[gate]
            if gate < first_recurrent:
                for j in range(size):
                    target[j] = to_float(source[j])
            else:
                column = (gate - first_recurrent) * size
                added = recurrent[r, column : column + size]
                for j in range(size):
                    target[j] = to_float(source[j]) + to_float(added[j])
        cells.step(cell, saved[before + r], new, size)
        state, rounded = new[saved.shape[1] - 1], hidden[begin + r]
        for j in range(size):
            rounded[j] = to_bfloat16(state[j])
        if outputs.size:
            target = outputs[places[at]]
            for j in range(size):
                target[j] = state[j]


@cached_jit
def step_backward(
    cell: int, saved: Floats, places: Ints, d_outputs: Floats, d_recurrent: Halves, d_h: Floats,
    d_c: Floats, d_inputs: Halves, d_gates: Floats, begin: int, before: int, num_rows: int,
    num_later: int,
) -> None:  # fmt: skip
    """Go back one step; ``d_x`` is the derivative of the loss by x.

    Args:
        cell: RNN, LSTM or GRU.
        saved: As :func:`step_forward` wrote it.
        places: (N,), where the output of each step is.
        d_outputs: (B * T, H), or empty.
        d_recurrent: (rows, H), what passes through the gates of the step after this one.
        d_h: (B, H), by the new hidden state, and then by the old one.
        d_c: (B, H), of the LSTM: the same of the cell state.
        d_inputs: (N, gates * H); written.
        d_gates: (gates, H), overwritten.
        begin: Where the rows of this step begin in ``saved``.
        before: Where those of the step before do.
        num_rows: How many rows have this step.
        num_later: How many have the step after it.
    """
    size, first_step = d_h.shape[1], saved.shape[0] - d_inputs.shape[0]
    for r in range(num_rows):
        d_state, at = d_h[r], begin - first_step + r
        if r < num_later:
            for j in range(size):
                d_state[j] += to_float(d_recurrent[r, j])
        if d_outputs.size:
            added = d_outputs[places[at]]
            for j in range(size):
                d_state[j] += added[j]
        cells.step_backward(
            cell, saved[begin + r], saved[before + r], d_state, d_c[r], d_gates, 0, size
        )
        for gate in range(d_gates.shape[0]):
            source = d_gates[gate]
            target = d_inputs[at, gate * size : (gate + 1) * size]
            for j in range(size):
                target[j] = to_bfloat16(source[j])
