"""The compiled layers over arrays: one direction of one layer, without gradients and torch."""

from __future__ import annotations

import numpy as np

from zoo.interfaces import Array, ArrayState
from zoo_recurrent.kernels.cells import GRU, LSTM, NUM_SAVED, RNN
from zoo_recurrent.kernels.forward import forward
from zoo_recurrent.kernels.layout import group_rows, round_up
from zoo_recurrent.kernels.matmul import PANEL_WIDTH, TILE_ROWS
from zoo_recurrent.kernels.structures import (
    Batching,
    Inputs,
    Results,
    SavedSteps,
    State,
    Weights,
)

CELLS = {"RNN_TANH": RNN, "LSTM": LSTM, "GRU": GRU}
_NOTHING = np.zeros((0, 0), np.float32)


def run_layer(
    mode: str,
    layer: tuple[Array, Array, Array, Array],
    vectors: Array | None,
    table: Array | None,
    token_ids: Array,
    lengths: Array,
    state: ArrayState,
    *,
    reverse: bool,
    return_outputs: bool,
) -> tuple[Array, ArrayState]:
    """Run one direction of one layer in this thread.

    It is :func:`zoo_recurrent.kernels.run_layer`; arguments and results are those of the method of
    :class:`zoo_recurrent.runtime.Stack` that computes a few steps.

    Raises:
        ValueError: A length or token id is out of range: compiled code would read beyond arrays.
    """
    batch_size, num_steps = token_ids.shape
    size = state[0].shape[1]
    if not 0 <= lengths.min() <= lengths.max() <= num_steps:
        raise ValueError(f"lengths are not in 0 ... {num_steps}")
    limit = layer[0].shape[1] if table is None else len(table)
    if vectors is None and not 0 <= token_ids.min() <= token_ids.max() < limit:
        raise ValueError(f"a token id is not in 0 ... {limit - 1}")
    w_input, bias, w_recurrent = split_gates(mode, layer)
    bias = bias[None]
    if vectors is not None:
        rows = np.ascontiguousarray(vectors.reshape(-1, vectors.shape[2]))
        token_ids = np.arange(len(rows)).reshape(token_ids.shape)
    elif table is not None:
        rows = np.ascontiguousarray(table)
    else:
        # Of a vocabulary, few tokens are in a batch.
        present, index = np.unique(token_ids, return_inverse=True)
        token_ids, rows = index.reshape(token_ids.shape), _NOTHING
        bias = w_input[:, :, present].transpose(2, 0, 1) + bias
        w_input = w_input[..., :0]
    units = round_up(size, PANEL_WIDTH)
    cell, lengths = CELLS[mode], np.ascontiguousarray(lengths, np.int64)
    order, bounds = group_rows(lengths, 1)
    array_size = round_up(int(np.diff(bounds).max()), TILE_ROWS) * units
    # Two steps of each group are kept.
    each = 2 * NUM_SAVED[cell] * array_size
    value_bounds = np.arange(len(bounds)) * each
    outputs = np.empty((batch_size, num_steps, size) if return_outputs else (0, 0, 0), np.float32)
    start = tuple(np.array(part, order="C") for part in state)
    ends = tuple(np.empty_like(part) for part in start)
    batching = Batching(lengths, order, np.stack((bounds, value_bounds), axis=1), reverse, 1)
    saved = SavedSteps(
        np.empty(int(value_bounds[-1]), np.float32), NUM_SAVED[cell], array_size, False
    )
    weights = Weights(
        _pack_panels(w_input.transpose(0, 2, 1)), _pack_panels(w_recurrent.transpose(0, 2, 1)),
        np.ascontiguousarray(np.pad(bias, ((0, 0), (0, 0), (0, units - size)))),
    )  # fmt: skip
    initial, final = (
        State(parts[0], parts[1] if mode == "LSTM" else _NOTHING) for parts in (start, ends)
    )
    inputs = Inputs(rows, np.ascontiguousarray(token_ids, np.int64))
    forward(cell, batching, inputs, weights, initial, saved, Results(outputs, final), 0)
    return outputs, ends


def split_gates(mode: str, layer: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Return what :func:`zoo_recurrent.kernels.layout.split_gates` does, of arrays."""
    w_ih, w_hh, b_ih, b_hh = layer
    size = w_hh.shape[1]
    recurrent = w_hh.reshape(-1, size, size)
    if mode != "GRU":
        return w_ih.reshape(-1, size, w_ih.shape[1]), (b_ih + b_hh).reshape(-1, size), recurrent
    r_and_z, n = slice(2 * size), slice(2 * size, None)
    inputs = np.concatenate((w_ih[n], w_ih[r_and_z], np.zeros_like(w_ih[:size])))
    bias = np.concatenate((b_ih[n], b_ih[r_and_z] + b_hh[r_and_z], b_hh[n]))
    return inputs.reshape(4, size, -1), bias.reshape(4, size), recurrent


def _pack_panels(matrices: Array) -> Array:
    """Return what :func:`zoo_recurrent.kernels.layout.pack_panels` does, of arrays."""
    number, depth, columns = matrices.shape
    width = round_up(columns, PANEL_WIDTH)
    wide = np.pad(matrices, ((0, 0), (0, 0), (0, width - columns)))
    panels = wide.reshape(number, depth, width // PANEL_WIDTH, PANEL_WIDTH)
    return np.ascontiguousarray(panels.transpose(0, 2, 1, 3))
