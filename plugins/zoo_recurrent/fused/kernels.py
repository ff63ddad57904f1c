"""One direction of one layer over a batch, forward and back: all steps of some rows in one call.

Rows are read in groups, a group's longest first, so that at each step those that still have words
stand in front: nothing is computed for padding. A group's state is ``units`` wide, the layer's size
rounded up to whole tiles; the weights beyond the size are zero, and with them all that is there.

Neither function checks an index. Both read one worker's share of the groups.
"""

from __future__ import annotations

import numpy as np

from zoo_recurrent.fused import cells
from zoo_recurrent.fused.cells import CELL_STATE, LSTM
from zoo_recurrent.fused.compiler import compiled, kept
from zoo_recurrent.fused.tiles import FLOAT, ROWS, WIDTH, aligned, matmul

# Tokens whose part of the weights' gradients is summed at once, so that they stay in the cache.
_TOGETHER = 256
# Floats between rows whose length is a power of two, which would evict each other.
_APART = 16


@compiled
def _copy(source, target):
    for j in range(target.size):
        target[j] = source[j]


@compiled
def _add(source, target):
    for j in range(target.size):
        target[j] += source[j]


@compiled
def _fill(source, target):
    """Copy, and zeros behind."""
    _copy(source, target[: source.size])
    target[source.size :] = 0


@compiled
def _at(lengths, row, step, reverse):
    return lengths[row] - 1 - step if reverse else step


@kept
def forward(
    cell, inputs, codes, lengths, order, bounds, reverse, h_start, c_start, w_inputs, w_hidden,
    blocks, block, keep, saved, outputs, h_end, c_end, worker, workers,
):  # fmt: skip
    """Read rows from their first step to their last, or the other way round.

    Args:
        cell: RNN, LSTM or GRU.
        inputs: (B, T, I), or (B, T, 0) where codes are read.
        codes: (B, T), the one place of a one-hot input that is 1, or (0, 0).
        lengths: (B,).
        order: (B,), rows, those of a group together and the longest first.
        bounds: (groups + 1, 2), where each group begins in ``order`` and in ``saved``.
        reverse: Whether each row is read from its last word to its first.
        h_start: (B, H); so is c_start for the LSTM, (0, 0) for others.
        w_inputs: (gates, panels, I + 1, WIDTH): the weights of the inputs, and the bias.
        w_hidden: (gates that read the state, panels, H, WIDTH); they are the last ones.
        blocks: What is kept of a step: so many arrays, the last one the hidden state,
        block: of so many values, rows * units.
        keep: Whether every step is kept for the way back.
        saved: A group's steps (T + 1, blocks, block) end to end, the state before the first step
            first; or just one step a group, where they are not kept.
        outputs: (B, T, H), zero at padding on return.
        h_end: (B, H), and c_end for the LSTM: the state after each row's last word.
    """
    gates, panels, deep = w_inputs.shape[0], w_inputs.shape[1], w_inputs.shape[2]
    size = h_end.shape[1]
    # Gates that read no state come first; so many of the last ones read no inputs.
    deaf, units = gates - w_hidden.shape[0], panels * WIDTH
    share, hidden, coded = (bounds.shape[0] - 1) // workers, blocks - 1, codes.size > 0
    words, chosen = aligned(block // units * deep), np.zeros(block // units, np.int64)
    z = aligned(gates * block).reshape(gates, block)
    for group in range(worker * share, (worker + 1) * share):
        members = order[bounds[group, 0] : bounds[group + 1, 0]]
        steps = saved[bounds[group, 1] : bounds[group + 1, 1]].reshape(-1, blocks, block)
        active = members.size
        for r in range(active):
            b, mine = members[r], slice(r * units, (r + 1) * units)
            words[(r + 1) * deep - 1] = 1
            outputs[b, lengths[b] :] = 0
            _fill(h_start[b], steps[0, hidden, mine])
            _copy(h_start[b], h_end[b])
            if cell == LSTM:
                _fill(c_start[b], steps[0, CELL_STATE, mine])
                _copy(c_start[b], c_end[b])
        for step in range(lengths[members[0]]):
            while lengths[members[active - 1]] <= step:
                active -= 1
            whole = (active + ROWS - 1) // ROWS * ROWS
            old, new = steps[step if keep else 0], steps[step + 1 if keep else 0]
            for r in range(active):
                b = members[r]
                t = _at(lengths, b, step, reverse)
                if coded:
                    chosen[r] = codes[b, t]
                else:
                    _copy(inputs[b, t], words[r * deep : (r + 1) * deep - 1])
            for g in range(gates):
                if not coded and g < gates - deaf:
                    matmul(
                        words.ctypes.data, deep * FLOAT, FLOAT, whole,
                        w_inputs[g].ctypes.data, deep * WIDTH * FLOAT, WIDTH * FLOAT, panels,
                        deep, z[g].ctypes.data, units * FLOAT, True,
                    )  # fmt: skip
                else:
                    for r in range(active):
                        for p in range(panels):
                            target = z[g, r * units + p * WIDTH : r * units + (p + 1) * WIDTH]
                            _copy(w_inputs[g, p, deep - 1], target)
                            if coded:
                                _add(w_inputs[g, p, chosen[r]], target)
                if g >= deaf:
                    matmul(
                        old[hidden].ctypes.data, units * FLOAT, FLOAT, whole,
                        w_hidden[g - deaf].ctypes.data, size * WIDTH * FLOAT, WIDTH * FLOAT,
                        panels, size, z[g].ctypes.data, units * FLOAT, False,
                    )  # fmt: skip
            cells.step(cell, z, old, new, active * units)
            for r in range(active):
                b = members[r]
                _copy(new[hidden, r * units :], outputs[b, _at(lengths, b, step, reverse)])
                if step == lengths[b] - 1:
                    _copy(new[hidden, r * units :], h_end[b])
                    if cell == LSTM:
                        _copy(new[CELL_STATE, r * units :], c_end[b])


@kept
def backward(
    cell, inputs, codes, lengths, order, bounds, reverse, w_inputs, w_hidden, blocks, block, saved,
    d_outputs, d_h_end, d_c_end, d_inputs, d_h_start, d_c_start, d_w_inputs, d_w_hidden,
    worker, workers,
):  # fmt: skip
    """Go back over what :func:`forward` read; ``d_x`` is the derivative of the loss by x.

    Args:
        w_inputs: (gates, panels of I, H, WIDTH), as they multiply on the way back.
        w_hidden: (gates that read the state, panels of H, H, WIDTH).
        d_outputs: (B, T, H), or (0, 0, 0) where no output was used.
        d_inputs: (B, T, I), zero at padding on return, or (0, 0, 0) where nobody asks.
        d_w_inputs: (workers, gates * units, I + 1 rounded up to WIDTH), the bias last; for codes
            (workers, I, gates * units).
        d_w_hidden: (workers, gates that read the state * units, units).
    """
    gates, size = w_inputs.shape[0], w_hidden.shape[2]
    deaf, units = gates - w_hidden.shape[0], w_hidden.shape[1] * WIDTH
    share, hidden, coded = (bounds.shape[0] - 1) // workers, blocks - 1, codes.size > 0
    rows, width = block // units, inputs.shape[2]
    d_w_inputs, d_w_hidden = d_w_inputs[worker], d_w_hidden[worker]
    across, wide, spaced = w_inputs.shape[1] * WIDTH, d_w_inputs.shape[1], units + _APART
    room = _TOGETHER + rows
    words = aligned(0 if coded else room * wide)
    states = aligned(room * spaced)
    d_z = aligned(gates * room * units).reshape(gates, room * units)
    d_h, d_c, d_x = aligned(block), aligned(block), aligned(rows * across)
    for token in range(0 if coded else room):
        words[token * wide + width] = 1
    for group in range(worker * share, (worker + 1) * share):
        members = order[bounds[group, 0] : bounds[group + 1, 0]]
        steps = saved[bounds[group, 1] : bounds[group + 1, 1]].reshape(-1, blocks, block)
        for b in members:
            if d_inputs.size:
                d_inputs[b, lengths[b] :] = 0
            _copy(d_h_end[b], d_h_start[b])
            if cell == LSTM:
                _copy(d_c_end[b], d_c_start[b])
        active = tokens = 0
        for step in range(lengths[members[0]] - 1, -1, -1):
            while active < members.size and lengths[members[active]] > step:
                mine = slice(active * units, (active + 1) * units)
                _fill(d_h_end[members[active]], d_h[mine])
                if cell == LSTM:
                    _fill(d_c_end[members[active]], d_c[mine])
                active += 1
            whole = (active + ROWS - 1) // ROWS * ROWS
            old, new = steps[step], steps[step + 1]
            for r in range(active):
                b, token = members[r], tokens + r
                t = _at(lengths, b, step, reverse)
                if d_outputs.size:
                    _add(d_outputs[b, t], d_h[r * units : r * units + size])
                if not coded:
                    _copy(inputs[b, t], words[token * wide : token * wide + width])
                _copy(old[hidden, r * units :], states[token * spaced : token * spaced + size])
            at = tokens * units
            cells.step_back(cell, new, old, d_h, d_c, d_z, at, active * units)
            for g in range(gates):
                here = d_z[g].ctypes.data + at * FLOAT
                if g >= deaf:
                    matmul(
                        here, units * FLOAT, FLOAT, whole,
                        w_hidden[g - deaf].ctypes.data, size * WIDTH * FLOAT, WIDTH * FLOAT,
                        units // WIDTH, size, d_h.ctypes.data, units * FLOAT, False,
                    )  # fmt: skip
                if d_inputs.size and g < gates - deaf:
                    matmul(
                        here, units * FLOAT, FLOAT, whole,
                        w_inputs[g].ctypes.data, size * WIDTH * FLOAT, WIDTH * FLOAT,
                        across // WIDTH, size, d_x.ctypes.data, across * FLOAT, g == 0,
                    )  # fmt: skip
            for r in range(active):
                b = members[r]
                t = _at(lengths, b, step, reverse)
                for g in range(gates if coded else 0):
                    start = at + r * units
                    target = d_w_inputs[codes[b, t], g * units : (g + 1) * units]
                    _add(d_z[g, start : start + units], target)
                if d_inputs.size:
                    _copy(d_x[r * across :], d_inputs[b, t])
                if step == 0:
                    _copy(d_h[r * units :], d_h_start[b])
                    if cell == LSTM:
                        _copy(d_c[r * units :], d_c_start[b])
            tokens += active
            if step and tokens + rows <= room:
                continue
            for g in range(gates):
                if not coded:
                    matmul(
                        d_z[g].ctypes.data, FLOAT, units * FLOAT, units,
                        words.ctypes.data, WIDTH * FLOAT, wide * FLOAT, wide // WIDTH, tokens,
                        d_w_inputs[g * units].ctypes.data, wide * FLOAT, False,
                    )  # fmt: skip
                if g >= deaf:
                    matmul(
                        d_z[g].ctypes.data, FLOAT, units * FLOAT, units,
                        states.ctypes.data, WIDTH * FLOAT, spaced * FLOAT, units // WIDTH, tokens,
                        d_w_hidden[(g - deaf) * units].ctypes.data, units * FLOAT, False,
                    )  # fmt: skip
            tokens = 0
