"""RNN, LSTM and GRU by NumPy: what the torch models of the same names compute in evaluation mode.

Many steps are computed by the compiled layers, as they are where torch is, and a few by NumPy:
importing numba takes longer than these.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import ClassVar, cast

import numpy as np

from zoo.errors import NeedsTorchError
from zoo.interfaces import (
    Array,
    ArrayDecodeStep,
    ArrayState,
    OutputLayer,
    QuantizedMatrix,
    Tensors,
    TokenLoop,
)
from zoo_recurrent.environment import (
    FEW_DRAWS,
    FEW_STEPS,
    VARIABLE,
    numba_works,
    requested_backend,
)
from zoo_recurrent.options import BidirectionalOptions, StackOptions

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

Layer = tuple[Array, Array, Array, Array]
"""W_ih, W_hh, b_ih and b_hh, as in torch.nn."""

Cell = Callable[[Array, Array, ArrayState], ArrayState]
"""(W_ih x + b_ih, W_hh h + b_hh, state) to the next state, hidden state first."""


def _sigmoid(values: Array) -> Array:
    """Return 1 / (1 + exp(-x)), without overflow."""
    found: Array = np.tanh(values * np.float32(0.5)) * np.float32(0.5) + np.float32(0.5)
    return found


def _rnn_cell(inputs: Array, recurrent: Array, state: ArrayState) -> ArrayState:
    del state
    return (np.tanh(inputs + recurrent),)


def _gru_cell(inputs: Array, recurrent: Array, state: ArrayState) -> ArrayState:
    (hidden,) = state
    size = hidden.shape[1]
    r_and_z = _sigmoid(inputs[:, : 2 * size] + recurrent[:, : 2 * size])
    new = np.tanh(inputs[:, 2 * size :] + r_and_z[:, :size] * recurrent[:, 2 * size :])
    return (new + r_and_z[:, size:] * (hidden - new),)


def _lstm_cell(inputs: Array, recurrent: Array, state: ArrayState) -> ArrayState:
    hidden, cell = state
    size = hidden.shape[1]
    sums = inputs + recurrent
    i_and_f = _sigmoid(sums[:, : 2 * size])
    cell = i_and_f[:, size:] * cell + i_and_f[:, :size] * np.tanh(sums[:, 2 * size : 3 * size])
    return _sigmoid(sums[:, 3 * size :]) * np.tanh(cell), cell


class Stack:
    """What RNN, LSTM and GRU share; see :class:`zoo_recurrent.stack.Stack`.

    Args:
        input_size: Size of an input vector.
        options: :class:`BidirectionalOptions` make it bidirectional.
        tensors: The parameters.

    Raises:
        NeedsTorchError: ``ZOO_BACKEND`` says that torch computes.
    """

    known_options: Collection[str] = {
        "hidden_size", "num_layers", "initial_state", "merge",
        # In training alone:
        "dropout", "weight_dropout", "locked_dropout",
    }  # fmt: skip
    mode: ClassVar[str]
    num_gates: ClassVar[int]
    num_state_tensors: ClassVar[int] = 1
    cell: Cell

    def __init__(self, input_size: int, options: StackOptions, tensors: Tensors) -> None:
        if requested_backend() == "torch":
            raise NeedsTorchError("recurrent layers are computed by torch", where=VARIABLE)
        self.merge = options.merge if isinstance(options, BidirectionalOptions) else ""
        self.num_layers, self.hidden_size = options.num_layers, options.hidden_size
        self.num_directions = 2 if self.merge else 1
        self.output_size = (2 if self.merge == "concat" else 1) * self.hidden_size
        self.layers: list[Layer] = []
        self._quantized: list[tuple[QuantizedMatrix | None, QuantizedMatrix | None]] = []
        rows, width = self.num_gates * self.hidden_size, input_size
        for layer in range(self.num_layers):
            for direction in ("", "_reverse")[: self.num_directions]:
                shapes = (rows, width), (rows, self.hidden_size), (rows,), (rows,)
                found = [
                    tensors.take(f"{name}_l{layer}{direction}", *shape)
                    for name, shape in zip(_NAMES, shapes, strict=True)
                ]
                self.layers.append(cast("Layer", tuple(found)))
                stored = [tensors.quantized(f"{n}_l{layer}{direction}") for n in _NAMES[:2]]
                self._quantized.append((stored[0], stored[1]))
            width = self.num_directions * self.hidden_size
        self._initial: Array | None = None
        if options.initial_state == "learned":
            self._initial = tensors.take(
                "initial_state", self.num_state_tensors, len(self.layers), self.hidden_size
            )

    def initial_state(self, batch_size: int) -> ArrayState:
        """Return the state before the first step, arrays (any, batch_size, hidden_size)."""
        shape = (len(self.layers), batch_size, self.hidden_size)
        if self._initial is None:
            return (np.zeros(shape, np.float32),) * self.num_state_tensors
        return tuple(np.broadcast_to(part[:, None], shape) for part in self._initial)

    def __call__(
        self,
        weight: Array | None,
        token_ids: Array,
        lengths: Array,
        *,
        return_outputs: bool = True,
    ) -> tuple[Array, ArrayState]:
        """Run over right-padded rows; see :class:`zoo.interfaces.RuntimeModel`."""
        start = self.initial_state(len(token_ids))
        if self._is_compiled(token_ids.size):
            # Here, because numba takes a while to import.
            from zoo_recurrent.runtime_kernels import run_layer as run
        else:
            run = self._run_layer
        values: Array | None = None
        ends: list[ArrayState] = []
        for layer in range(self.num_layers):
            directions = []
            for direction in range(self.num_directions):
                index = layer * self.num_directions + direction
                outputs, end = run(
                    self.mode, self.layers[index], values, weight, token_ids, lengths,
                    tuple(part[index] for part in start), reverse=direction == 1,
                    return_outputs=return_outputs or layer < self.num_layers - 1,
                )  # fmt: skip
                directions.append(outputs)
                ends.append(end)
            values = np.concatenate(directions, 2) if len(directions) > 1 else directions[0]
        state = tuple(np.stack(parts) for parts in zip(*ends, strict=True))
        assert values is not None
        if self.merge and self.merge != "concat" and return_outputs:
            values = self._merge(*np.split(values, 2, axis=2))
        return values, state

    def readout(self, state: ArrayState) -> Array:
        """Return (B, output_size), the hidden state of the last layer, its directions merged."""
        last = state[0][-self.num_directions :]
        return self._merge(last[0], last[1]) if self.merge else last[0]

    def _merge(self, forward: Array, backward: Array) -> Array:
        if self.merge == "concat":
            return np.concatenate((forward, backward), axis=-1)
        if self.merge == "mul":
            product: Array = forward * backward
            return product
        total: Array = forward + backward
        return total if self.merge == "sum" else total / np.float32(2)

    @staticmethod
    def _is_compiled(num_steps: int, few: int = FEW_STEPS) -> bool:
        requested = requested_backend()
        if requested == "auto" and num_steps <= few:
            return False
        return numba_works(demanded=requested == "numba")

    def _run_layer(
        self,
        mode: str,
        layer: Layer,
        vectors: Array | None,
        table: Array | None,
        token_ids: Array,
        lengths: Array,
        state: ArrayState,
        *,
        reverse: bool,
        return_outputs: bool,
    ) -> tuple[Array, ArrayState]:
        """Run one direction of one layer.

        Args:
            mode: The cell.
            layer: Its parameters.
            vectors: (B, T, I), what is read; None: rows of the table.
            table: (V, I), or None for one-hot vectors.
            token_ids: (B, T), rows of the table.
            lengths: (B,).
            state: Arrays (B, H) before the first step.
            reverse: Whether rows are read from their last step to their first.
            return_outputs: Whether outputs are needed.
        """
        w_ih, w_hh, b_ih, b_hh = layer
        # The longest rows first: those that still have steps stand in front.
        order = np.argsort(-lengths, kind="stable")
        ranked = lengths[order]
        steps = int(ranked[0])
        outputs = np.zeros((*token_ids.shape, self.hidden_size) if return_outputs else (0, 0, 0),
                           np.float32)  # fmt: skip
        now = tuple(np.ascontiguousarray(part[order]) for part in state)
        for step in range(steps):
            rows = order[: np.count_nonzero(ranked > step)]
            at = lengths[rows] - 1 - step if reverse else step
            if vectors is not None:
                inputs = vectors[rows, at] @ w_ih.T + b_ih
            elif table is not None:
                inputs = table[token_ids[rows, at]] @ w_ih.T + b_ih
            else:
                inputs = w_ih.T[token_ids[rows, at]] + b_ih
            before = tuple(part[: len(rows)] for part in now)
            after = self.cell(inputs, before[0] @ w_hh.T + b_hh, before)
            for part, new in zip(now, after, strict=True):
                part[: len(rows)] = new
            if return_outputs:
                outputs[rows, at] = after[0]
        back = np.argsort(order)
        return outputs, tuple(part[back] for part in now)

    def decode_step(self, weight: Array | None) -> ArrayDecodeStep:
        """Return a step function for generation; see :class:`zoo.interfaces.RuntimeModel`.

        The input product of the first layer is a table look-up, as in :mod:`zoo_recurrent.decode`.

        Raises:
            ValueError: The model is bidirectional and cannot generate.
        """
        if self.merge:
            raise ValueError("a bidirectional model cannot read one step at a time")
        first, _, bias, _ = self.layers[0]
        gate_table = np.ascontiguousarray((first.T if weight is None else weight @ first.T) + bias)

        def step(token_ids: Array, state: ArrayState | None) -> tuple[Array, ArrayState]:
            before = self.initial_state(len(token_ids)) if state is None else state
            ends: list[ArrayState] = []
            for index, (w_ih, w_hh, b_ih, b_hh) in enumerate(self.layers):
                inputs = ends[-1][0] @ w_ih.T + b_ih if index else gate_table[token_ids]
                old = tuple(part[index] for part in before)
                ends.append(self.cell(inputs, old[0] @ w_hh.T + b_hh, old))
            after = tuple(np.stack(parts) for parts in zip(*ends, strict=True))
            return after[0][-1], after

        return step

    def token_loop(
        self, weight: Array | None, output: OutputLayer, num_steps: int
    ) -> TokenLoop | None:
        """Return the compiled loop of one sample; see :class:`zoo.interfaces.CompilesTokenLoop`."""
        if self.merge or not self._is_compiled(num_steps, FEW_DRAWS):
            return None
        from zoo_recurrent.runtime_tokens import TokenLoop as CompiledLoop

        return CompiledLoop(self, weight, output)

    def input_matrix(self, layer: int) -> tuple[Array, QuantizedMatrix | None]:
        """Return W_ih of a layer of one direction, gates in the kernels' order, and as stored."""
        matrix, stored = self.layers[layer][0], self._quantized[layer][0]
        if self.mode != "GRU":
            return matrix, stored

        def new_gate_first(rows: Array) -> Array:
            return np.concatenate((rows[2 * self.hidden_size :], rows[: 2 * self.hidden_size]))

        if stored is not None and stored.scale.shape[1] == 1:
            stored = QuantizedMatrix(new_gate_first(stored.values), new_gate_first(stored.scale))
        return new_gate_first(matrix), stored

    def recurrent_matrix(self, layer: int) -> tuple[Array, QuantizedMatrix | None]:
        """Return W_hh of a layer of one direction, and as the file stores it in 8 bits."""
        return self.layers[layer][1], self._quantized[layer][1]


class RNN(Stack):
    """See :class:`zoo_recurrent.models.RNN`."""

    mode, num_gates = "RNN_TANH", 1
    cell = staticmethod(_rnn_cell)


class GRU(Stack):
    """See :class:`zoo_recurrent.models.GRU`."""

    mode, num_gates = "GRU", 3
    cell = staticmethod(_gru_cell)


class LSTM(Stack):
    """See :class:`zoo_recurrent.models.LSTM`."""

    mode, num_gates, num_state_tensors = "LSTM", 4, 2
    cell = staticmethod(_lstm_cell)
