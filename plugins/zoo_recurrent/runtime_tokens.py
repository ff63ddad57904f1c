"""Generation of one sample by compiled code: weights as the kernels read them, and the state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.interfaces import Array, OutputLayer, QuantizedMatrix
from zoo_recurrent.kernels.cells import CELL_STATE, LSTM, NUM_SAVED
from zoo_recurrent.kernels.layout import round_up
from zoo_recurrent.kernels.matvec import COLUMNS, READS_FLOAT16, ROWS
from zoo_recurrent.kernels.tokens import Draws, Network, Products, Stepping, draw_tokens
from zoo_recurrent.runtime_kernels import CELLS, split_gates

if TYPE_CHECKING:
    from zoo_recurrent.runtime import Stack

Matrix = tuple[Array, QuantizedMatrix | None]
"""A matrix in float32, and as the file stores it where that is in 8 bits."""


class TokenLoop:
    """See :class:`zoo.interfaces.TokenLoop`.

    Args:
        stack: The layers, in one direction.
        embedding: (V, I), or None for one-hot vectors.
        output: The output layer.
    """

    def __init__(self, stack: Stack, embedding: Array | None, output: OutputLayer) -> None:
        self.num_tokens = len(output.bias)
        self._cell = CELLS[stack.mode]
        size, num_layers = stack.hidden_size, stack.num_layers
        gates = [split_gates(stack.mode, layer) for layer in stack.layers]
        biases = [bias.ravel() for _, bias, _ in gates]
        first = gates[0][0].reshape(len(biases[0]), -1)
        table = (first.T if embedding is None else embedding @ first.T) + biases[0]
        matrices: list[list[Matrix]] = [
            [stack.input_matrix(layer) for layer in range(1, num_layers)],
            [stack.recurrent_matrix(layer) for layer in range(num_layers)],
            [(output.weight, output.quantized)],
        ]
        width = round_up(size, COLUMNS)
        of_inputs, recurrent, of_outputs = _products(matrices, width)
        self._network = Network(
            np.ascontiguousarray(table),
            np.stack(biases)[1:].copy(),
            of_inputs,
            recurrent,
            of_outputs,
            np.ascontiguousarray(output.bias),
        )
        self._now = Stepping(
            np.zeros((num_layers, 2, NUM_SAVED[self._cell], size), np.float32),
            np.zeros((num_layers, width), np.float32),
            np.zeros((num_layers, width), np.int16),
            np.zeros(num_layers, np.float32),
            np.zeros(self.num_tokens, np.float32),
            np.zeros(1, np.int64),
        )
        state = stack.initial_state(1)
        self._now.saved[:, 0, -1] = self._now.hidden[:, :size] = state[0][:, 0]
        if self._cell == LSTM:
            self._now.saved[:, 0, CELL_STATE] = state[1][:, 0]

    def draw(
        self,
        token_ids: Sequence[int],
        variates: Array,
        *,
        greedy: bool,
        scale: float,
        top_k: int,
        top_p: float,
    ) -> Array:
        """Read tokens, and draw those that follow; see :class:`zoo.interfaces.TokenLoop`."""
        read, drawn = np.array(token_ids, np.int64), np.empty(len(variates), np.int64)
        if not 0 <= read.min() <= read.max() < self.num_tokens:
            # Compiled code would read beyond arrays.
            raise ValueError(f"a token id is not in 0 ... {self.num_tokens - 1}")
        draws = Draws(greedy, float(scale), int(top_k), float(top_p))
        draw_tokens(self._cell, self._network, self._now, read, draws, variates, drawn)
        return drawn


def _products(groups: Sequence[Sequence[Matrix]], width: int) -> list[Products]:
    """Return groups of matrices with as few bits as hold them exactly."""
    matrices = [matrix for group in groups for matrix in group]
    if all(stored is not None and stored.scale.shape[1] == 1 for _, stored in matrices):
        return [
            _stack([(stored.values, stored.scale[:, 0]) for _, stored in group if stored], width)
            for group in groups
        ]
    halves = READS_FLOAT16 and all(_is_float16(matrix) for matrix, _ in matrices)
    kept = [
        [(m.astype(np.float16).view(np.uint16) if halves else m, np.ones(len(m), np.float32))
         for m, _ in group]
        for group in groups
    ]  # fmt: skip
    return [_stack(group, width) for group in kept]


def _is_float16(matrix: Array) -> bool:
    with np.errstate(over="ignore"):
        return bool((matrix.astype(np.float16) == matrix).all())


def _stack(matrices: Sequence[tuple[Array, Array]], width: int) -> Products:
    """Return matrices and scales of their rows as arrays, padded as the kernels need it."""
    if not matrices:
        return Products(np.zeros((0, 0, width), np.float32), np.zeros((0, 0), np.float32))
    rows = round_up(len(matrices[0][0]), ROWS)
    padded = [
        np.pad(matrix, ((0, rows - len(matrix)), (0, width - matrix.shape[1])))
        for matrix, _ in matrices
    ]
    return Products(np.stack(padded), np.stack([scale for _, scale in matrices]))
