"""Arrays that the kernels read and write, grouped by what they belong to.

B is the batch size, T the number of steps, I the input size, H the hidden size; ``units`` is H
rounded up to whole panels. numba compiles functions of named tuples as it does those of arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Batching(NamedTuple):
    """Which rows are computed together, by which thread, and in which direction.

    Args:
        lengths: (B,), steps of each row.
        order: (B,), row numbers, those of a group next to each other and the longest first.
        bounds: (groups + 1, 2), where each group begins in ``order`` and in ``SavedSteps.values``.
            The first groups belong to the first thread; every thread has as many.
        reverse: Whether rows are read from their last step to their first.
        num_threads: How many threads there are.
    """

    lengths: Ints
    order: Ints
    bounds: Ints
    reverse: bool
    num_threads: int


class Inputs(NamedTuple):
    """What is read at each step.

    Args:
        vectors: (N, I); or (0, I) for one-hot vectors, whose products are in ``Weights.bias``.
        token_ids: (B, T), a row of ``vectors``, or of ``Weights.bias``, for each step.
    """

    vectors: Floats
    token_ids: Ints


class Weights(NamedTuple):
    """The parameters of a layer, by gate; see :func:`zoo_recurrent.kernels.layout.split_gates`.

    Args:
        input: (gates, panels, I, PANEL_WIDTH). Of the GRU's, the last is not used.
        recurrent: (recurrent gates, panels, H, PANEL_WIDTH), those of the last gates.
        bias: (1, gates, units), what the sums of the gates start from; or (V, gates, units) by
            token id, the bias plus the product with a one-hot vector.
    """

    input: Floats
    recurrent: Floats
    bias: Floats


class State(NamedTuple):
    """Hidden state (B, H), and the LSTM's cell state (B, H) or (0, 0)."""

    h: Floats
    c: Floats


class SavedSteps(NamedTuple):
    """What the steps computed.

    Args:
        values: The steps of each group end to end, (T + 1, num_arrays, array_size) with the initial
            state first, or (2, num_arrays, array_size) where they are not saved.
        num_arrays: Gates and states of one step; the hidden state is the last.
        array_size: Rows of a group, rounded up to whole tiles, times units.
        every_step: Whether every step is saved, for the backward pass.
    """

    values: Floats
    num_arrays: int
    array_size: int
    every_step: bool


class Results(NamedTuple):
    """What a layer returns, or the gradients of the loss by it.

    Args:
        outputs: (B, T, H); or (0, 0, 0) where outputs are not needed or have no gradient.
        state: The state after the last step of each row.
    """

    outputs: Floats
    state: State


class Gradients(NamedTuple):
    """Gradients of the loss, written by the backward pass.

    Args:
        vectors: (N, I), zero at padding; or (0, 0) where they are not needed. Every step has a
            vector of its own then.
        state: By the initial state.
        input: By input weights and bias, one sum for each thread:
            (threads, gates * units, I + 1 rounded up to PANEL_WIDTH), the bias in column I;
            or of ``Weights.bias`` by token id, (threads, V, gates * units).
        recurrent: By recurrent weights: (threads, recurrent gates * units, units).
    """

    vectors: Floats
    state: State
    input: Floats
    recurrent: Floats
