"""Generation of one sample: many steps of a stack, its output layer and the draws in one call."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import float32

from zoo_recurrent.kernels.cells import Floats, exp2, step
from zoo_recurrent.kernels.compiler import cached_jit, jit
from zoo_recurrent.kernels.matvec import add_product, round_vector
from zoo_recurrent.kernels.structures import Ints

_LOG2_E = float32(1.44269504088896341)


class Products(NamedTuple):
    """Matrices of one shape; see :func:`zoo_recurrent.kernels.matvec.add_product`.

    Args:
        weight: (M, R, C).
        scale: (M, N), of N rows without padding; ones unless weights are int8.
    """

    weight: npt.NDArray[Any]
    scale: Floats


class Network(NamedTuple):
    """The parameters of L layers and the output layer, rows of the gates in the kernels' order.

    Args:
        table: (V, gates * H), what the gates of the first layer are for each token id without the
            recurrent product.
        bias: (L - 1, gates * H), that of the other layers.
        input: Of the other layers.
        recurrent: Of all layers.
        output: One, of V rows.
        output_bias: (V,).
    """

    table: Floats
    bias: Floats
    input: Products
    recurrent: Products
    output: Products
    output_bias: Floats


class Stepping(NamedTuple):
    """What changes with each step, kept from one call to the next.

    Args:
        saved: (L, 2, arrays, H): gates and states of each layer, see
            :func:`zoo_recurrent.kernels.cells.step`; one step after the other in turn.
        hidden: (L, C) hidden states, padded with zeros.
        rounded: (L, C), the same in 16 bits, for int8.
        units: (L,), of ``rounded``.
        logits: (V,).
        turn: (1,), which of the two steps in ``saved`` is the last.
    """

    saved: Floats
    hidden: Floats
    rounded: npt.NDArray[np.int16]
    units: Floats
    logits: Floats
    turn: Ints


class Draws(NamedTuple):
    """How tokens are drawn; see :class:`zoo.generation.Sampling`.

    Args:
        greedy: Whether the likeliest is taken.
        scale: What logits are multiplied by.
        top_k: 0 for all.
        top_p: 1 for all.
    """

    greedy: bool
    scale: float
    top_k: int
    top_p: float


@jit
def _advance(
    cell: int, network: Network, now: Stepping, token_id: int, scratch: Floats, num_arrays: int
) -> None:
    """Take one step of all layers."""
    num_layers, size = now.saved.shape[0], now.saved.shape[3]
    old = now.turn[0]
    for layer in range(num_layers):
        new = now.saved[layer, 1 - old]
        gates = new.ravel()[: network.table.shape[1]]
        if layer == 0:
            gates[:] = network.table[token_id]
        else:
            gates[:] = network.bias[layer - 1]
            add_product(
                network.input.weight[layer - 1], network.input.scale[layer - 1],
                now.hidden[layer - 1], now.rounded[layer - 1], now.units[layer - 1], scratch,
                gates[: network.input.scale.shape[1]],
            )  # fmt: skip
        recurrent = network.recurrent.weight[layer]
        number = network.recurrent.scale.shape[1]
        add_product(
            recurrent, network.recurrent.scale[layer], now.hidden[layer], now.rounded[layer],
            now.units[layer], scratch, gates[gates.size - number :],
        )  # fmt: skip
        step(cell, now.saved[layer, old], new, size)
        now.hidden[layer, :size] = new[num_arrays - 1]
        if recurrent.itemsize == 1:
            now.units[layer] = round_vector(now.hidden[layer], now.rounded[layer])
    now.turn[0] = 1 - old


@jit
def _compute_logits(network: Network, now: Stepping, scratch: Floats) -> None:
    top = now.hidden.shape[0] - 1
    now.logits[:] = network.output_bias
    add_product(
        network.output.weight[0], network.output.scale[0], now.hidden[top], now.rounded[top],
        now.units[top], scratch, now.logits,
    )  # fmt: skip


@jit
def _draw(logits: Floats, variates: Floats, draws: Draws) -> int:
    """Return the token with the largest probability / variate, as :func:`zoo.generation.draw`."""
    size = logits.size
    if draws.greedy:
        return int(logits.argmax())
    chances = logits * float32(draws.scale)
    least = float32(-np.inf)
    if 0 < draws.top_k < size:
        least = np.sort(chances)[size - draws.top_k]
    highest = chances.max()
    total = float32(0)
    for j in range(size):
        kept = chances[j] >= least
        power = max((chances[j] - highest) * _LOG2_E, float32(-126))
        chances[j] = exp2(power) if kept else float32(0)
        total += chances[j]
    if draws.top_p < 1:
        before = float32(0)
        for j in np.argsort(-chances, kind="mergesort"):
            share = chances[j] / total
            if before >= draws.top_p:
                chances[j] = float32(0)
            before += share
    return int((chances / variates).argmax())


@cached_jit
def draw_tokens(
    cell: int, network: Network, now: Stepping, read: Ints, draws: Draws, variates: Floats,
    drawn: Ints,
) -> None:  # fmt: skip
    """Read tokens, and draw those that follow.

    Args:
        cell: RNN, LSTM or GRU.
        network: The parameters.
        now: The state, changed in place.
        read: (N,) at least one token id.
        draws: How tokens are drawn.
        variates: (T, V), exponential variates.
        drawn: (T,), written. The last one is not read.
    """
    rows = max(
        network.input.weight.shape[1], network.recurrent.weight.shape[1],
        network.output.weight.shape[1],
    )  # fmt: skip
    scratch = np.empty(rows, np.float32)
    num_arrays = now.saved.shape[2]
    if network.output.weight.itemsize == 1:
        for layer in range(now.units.size):  # Of the initial state.
            now.units[layer] = round_vector(now.hidden[layer], now.rounded[layer])
    for token_id in read:
        _advance(cell, network, now, token_id, scratch, num_arrays)
    for t in range(drawn.size):
        if t:
            _advance(cell, network, now, drawn[t - 1], scratch, num_arrays)
        _compute_logits(network, now, scratch)
        drawn[t] = _draw(now.logits, variates[t], draws)
