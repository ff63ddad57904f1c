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
    cell, values, codes, lengths, order, bounds, reverse, h_start, c_start, w_inputs, sums,
    w_hidden, blocks, block, keep, saved, outputs, h_end, c_end, worker, workers,
):  # fmt: skip
    """Read rows from their first step to their last, or the other way round.

    Args:
        cell: RNN, LSTM or GRU.
        values: (N, I), inputs by code; or (0, I) where ``sums`` has all that is made of them.
        codes: (B, T), what each word is.
        lengths: (B,).
        order: (B,), rows, those of a group together and the longest first.
        bounds: (groups + 1, 2), where each group begins in ``order`` and in ``saved``.
        reverse: Whether each row is read from its last word to its first.
        h_start: (B, H); so is c_start for the LSTM, (0, 0) for others.
        w_inputs: (gates, panels, I, WIDTH), the weights of the inputs.
        sums: (1, gates, units), the bias, or (N, gates, units) by code: what gates start from.
        w_hidden: (gates that read the state, panels, H, WIDTH); they are the last ones.
        blocks: What is kept of a step: so many arrays, the last one the hidden state,
        block: of so many values, rows * units.
        keep: Whether every step is kept for the way back.
        saved: A group's steps (T + 1, blocks, block) end to end, the state before the first step
            first; or just two, where they are not kept.
        outputs: (B, T, H), zero at padding on return, or (0, 0, 0) where nobody asks.
        h_end: (B, H), and c_end for the LSTM: the state after each row's last word.
    """
    gates, units, deep, size = sums.shape[1], sums.shape[2], w_inputs.shape[2], h_end.shape[1]
    # Gates that read no state come first; so many of the last ones read no inputs.
    deaf, panels = gates - w_hidden.shape[0], units // WIDTH
    share, hidden, summed = (bounds.shape[0] - 1) // workers, blocks - 1, values.shape[0] == 0
    # Addresses, by row: of its word, of its state, and of what its gates start from.
    words, states = np.full(block // units, values.ctypes.data), np.empty(block // units, np.int64)
    starts = np.empty((gates, block // units), np.int64)
    for g in range(gates):
        starts[g] = sums[0, g].ctypes.data
    for group in range(worker * share, (worker + 1) * share):
        members = order[bounds[group, 0] : bounds[group + 1, 0]]
        steps = saved[bounds[group, 1] : bounds[group + 1, 1]].reshape(-1, blocks, block)
        active = members.size
        for r in range(active):
            b, mine = members[r], slice(r * units, (r + 1) * units)
            if outputs.size:
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
            at = step if keep else step % 2
            old, new = steps[at], steps[at + 1 if keep else 1 - at]
            for r in range(active):
                b = members[r]
                code = codes[b, _at(lengths, b, step, reverse)]
                if summed:
                    for g in range(gates):
                        starts[g, r] = sums[code, g].ctypes.data
                else:
                    words[r] = values[code].ctypes.data
            for r in range(whole):
                states[r] = old[hidden, r * units :].ctypes.data
            for g in range(gates):
                start = starts[g].ctypes.data
                if not summed and g < gates - deaf:
                    matmul(
                        words.ctypes.data, FLOAT, whole,
                        w_inputs[g].ctypes.data, deep * WIDTH * FLOAT, WIDTH * FLOAT, panels,
                        deep, new[g].ctypes.data, units * FLOAT, start,
                    )  # fmt: skip
                    start = 0
                if g >= deaf:
                    matmul(
                        states.ctypes.data, FLOAT, whole,
                        w_hidden[g - deaf].ctypes.data, size * WIDTH * FLOAT, WIDTH * FLOAT,
                        panels, size, new[g].ctypes.data, units * FLOAT, start,
                    )  # fmt: skip
                elif summed:
                    for r in range(active):
                        code = codes[members[r], _at(lengths, members[r], step, reverse)]
                        _copy(sums[code, g], new[g, r * units : (r + 1) * units])
            cells.step(cell, old, new, active * units)
            for r in range(active):
                b = members[r]
                if outputs.size:
                    _copy(new[hidden, r * units :], outputs[b, _at(lengths, b, step, reverse)])
                if step == lengths[b] - 1:
                    _copy(new[hidden, r * units :], h_end[b])
                    if cell == LSTM:
                        _copy(new[CELL_STATE, r * units :], c_end[b])


@kept
def backward(
    cell, values, codes, lengths, order, bounds, reverse, w_inputs, w_hidden, blocks, block, saved,
    d_outputs, d_h_end, d_c_end, d_values, d_h_start, d_c_start, d_w_inputs, d_w_hidden,
    worker, workers,
):  # fmt: skip
    """Go back over what :func:`forward` read; ``d_x`` is the derivative of the loss by x.

    Args:
        w_inputs: (gates, panels of I, H, WIDTH), as they multiply on the way back.
        w_hidden: (gates that read the state, panels of H, H, WIDTH).
        d_outputs: (B, T, H), or (0, 0, 0) where no output was used.
        d_values: (N, I), zero at padding on return, or (0, 0) where nobody asks; every word has a
            code of its own then.
        d_w_inputs: (workers, gates * units, I + 1 rounded up to WIDTH), the bias last; or of
            ``sums`` by code (workers, N, gates * units).
        d_w_hidden: (workers, gates that read the state * units, units).
    """
    gates, size = w_inputs.shape[0], w_hidden.shape[2]
    deaf, units = gates - w_hidden.shape[0], w_hidden.shape[1] * WIDTH
    share, hidden, summed = (bounds.shape[0] - 1) // workers, blocks - 1, values.shape[0] == 0
    rows, width = block // units, values.shape[1]
    d_w_inputs, d_w_hidden = d_w_inputs[worker], d_w_hidden[worker]
    across, wide, spaced = w_inputs.shape[1] * WIDTH, d_w_inputs.shape[1], units + _APART
    room = _TOGETHER + rows
    words = aligned(0 if summed else room * wide)
    states = aligned(room * spaced)
    d_z = aligned(gates * room * units).reshape(gates, room * units)
    d_h, d_c, d_x = aligned(block), aligned(block), aligned(rows * across)
    for token in range(0 if summed else room):
        words[token * wide + width] = 1
    # Addresses of the rows that a product reads.
    reads = np.empty(max(rows, units), np.int64)
    for group in range(worker * share, (worker + 1) * share):
        members = order[bounds[group, 0] : bounds[group + 1, 0]]
        steps = saved[bounds[group, 1] : bounds[group + 1, 1]].reshape(-1, blocks, block)
        for b in members:
            for t in range(lengths[b], codes.shape[1] if d_values.size else 0):
                d_values[codes[b, t]] = 0
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
                if not summed:
                    _copy(values[codes[b, t]], words[token * wide : token * wide + width])
                _copy(old[hidden, r * units :], states[token * spaced : token * spaced + size])
            at = tokens * units
            if d_values.size:
                d_x[: whole * across] = 0
            cells.step_back(cell, new, old, d_h, d_c, d_z, at, active * units)
            for g in range(gates):
                for r in range(whole):
                    reads[r] = d_z[g, at + r * units :].ctypes.data
                if g >= deaf:
                    matmul(
                        reads.ctypes.data, FLOAT, whole,
                        w_hidden[g - deaf].ctypes.data, size * WIDTH * FLOAT, WIDTH * FLOAT,
                        units // WIDTH, size, d_h.ctypes.data, units * FLOAT, 0,
                    )  # fmt: skip
                if d_values.size and g < gates - deaf:
                    matmul(
                        reads.ctypes.data, FLOAT, whole,
                        w_inputs[g].ctypes.data, size * WIDTH * FLOAT, WIDTH * FLOAT,
                        across // WIDTH, size, d_x.ctypes.data, across * FLOAT, 0,
                    )  # fmt: skip
            for r in range(active):
                b = members[r]
                t = _at(lengths, b, step, reverse)
                for g in range(gates if summed else 0):
                    start = at + r * units
                    target = d_w_inputs[codes[b, t], g * units : (g + 1) * units]
                    _add(d_z[g, start : start + units], target)
                if d_values.size:
                    _copy(d_x[r * across :], d_values[codes[b, t]])
                if step == 0:
                    _copy(d_h[r * units :], d_h_start[b])
                    if cell == LSTM:
                        _copy(d_c[r * units :], d_c_start[b])
            tokens += active
            if step and tokens + rows <= room:
                continue
            for g in range(gates):
                for unit in range(units):
                    reads[unit] = d_z[g, unit:].ctypes.data
                if not summed:
                    matmul(
                        reads.ctypes.data, units * FLOAT, units,
                        words.ctypes.data, WIDTH * FLOAT, wide * FLOAT, wide // WIDTH, tokens,
                        d_w_inputs[g * units].ctypes.data, wide * FLOAT, 0,
                    )  # fmt: skip
                if g >= deaf:
                    matmul(
                        reads.ctypes.data, units * FLOAT, units,
                        states.ctypes.data, WIDTH * FLOAT, spaced * FLOAT, units // WIDTH, tokens,
                        d_w_hidden[(g - deaf) * units].ctypes.data, units * FLOAT, 0,
                    )  # fmt: skip
            tokens = 0
