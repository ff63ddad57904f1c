"""One step of a cell, forward and backward, value by value.

Arrays are flat, rows x units values of one gate or one state each. A gate comes in as the sum that
it is a function of, and leaves as its value. In the backward step ``d_x`` is the derivative of the
loss by x, for gates by the gate's sum; ``d_h`` comes in as the derivative by the new hidden state
and leaves as that by the old one, without the part that passes through the gates. The equations
stand in ``docs/kernels.md``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import float32, int32

from zoo_recurrent.kernels.compiler import jit

Floats = npt.NDArray[np.float32]

RNN, LSTM, GRU = 0, 1, 2
# By the names of torch's modes.
CELLS = {"RNN_TANH": RNN, "LSTM": LSTM, "GRU": GRU}
# Arrays that the backward pass needs of each step: the gates, the LSTM's cell state, and the hidden
# state last.
NUM_SAVED = {RNN: 1, LSTM: 6, GRU: 5}
CELL_STATE = 4

ZERO, ONE = float32(0), float32(1)
# Added to a number below 2^22 it leaves the nearest integer, and 127, in the lowest bits.
_ROUND_TO_INTEGER = float32(1.5 * 2**23 + 127)


@jit
def _clamp(x: Any, bound: Any) -> Any:
    x = -bound if x < -bound else x
    return bound if x > bound else x


@jit
def exp2(x: Any) -> Any:
    """Return 2 to the x, for x in -126 ... 126, with a relative error below 2e-7.

    Source: S. Moshier, Cephes, exp2f.
    """
    rounded = np.float32(x + _ROUND_TO_INTEGER)
    x = x - (rounded - _ROUND_TO_INTEGER)
    y = float32(1.535336188319500e-4)
    y = y * x + float32(1.339887440266574e-3)
    y = y * x + float32(9.618437357674640e-3)
    y = y * x + float32(5.550332471162809e-2)
    y = y * x + float32(2.402264791363012e-1)
    y = y * x + float32(6.931472028550421e-1)
    y = y * x + ONE
    # The integer part becomes the exponent.
    return y * np.int32(rounded.view(np.int32) << int32(23)).view(np.float32)


@jit
def _sigmoid(x: Any) -> Any:
    return ONE / (ONE + exp2(_clamp(x * float32(-1.44269504088896341), float32(126))))


@jit
def _tanh(x: Any) -> Any:
    """Return tanh(x) with a relative error below 3e-7.

    Source: Eigen, MathFunctionsImpl.h, the rational approximation of generic_fast_tanh_float.
    """
    x = _clamp(x, float32(7.90531110763549805))
    s = x * x
    p = float32(-2.76076847742355e-16)
    p = p * s + float32(2.00018790482477e-13)
    p = p * s + float32(-8.60467152213735e-11)
    p = p * s + float32(5.12229709037114e-08)
    p = p * s + float32(1.48572235717979e-05)
    p = p * s + float32(6.37261928875436e-04)
    p = p * s + float32(4.89352455891786e-03)
    q = float32(1.19825839466702e-06)
    q = q * s + float32(1.18534705686654e-04)
    q = q * s + float32(2.26843463243900e-03)
    q = q * s + float32(4.89352518554385e-03)
    return p * x / q


@jit
def _lstm(i: Floats, f: Floats, g: Floats, o: Floats, c_old: Floats, c: Floats, h: Floats) -> None:
    """c = f c_old + i g; h = o tanh(c). As in torch.nn.LSTM."""
    for j in range(i.size):
        i[j] = _sigmoid(i[j])
        f[j] = _sigmoid(f[j])
        g[j] = _tanh(g[j])
        o[j] = _sigmoid(o[j])
    for j in range(i.size):
        c[j] = f[j] * c_old[j] + i[j] * g[j]
        h[j] = o[j] * _tanh(c[j])


@jit
def _lstm_backward(
    i: Floats, f: Floats, g: Floats, o: Floats, c: Floats, c_old: Floats,
    d_h: Floats, d_c: Floats, d_i: Floats, d_f: Floats, d_g: Floats, d_o: Floats,
) -> None:  # fmt: skip
    for j in range(i.size):
        t = _tanh(c[j])
        d_o[j] = d_h[j] * t * o[j] * (ONE - o[j])
        d_c[j] = d_c[j] + d_h[j] * o[j] * (ONE - t * t)
    for j in range(i.size):
        d_i[j] = d_c[j] * g[j] * i[j] * (ONE - i[j])
        d_g[j] = d_c[j] * i[j] * (ONE - g[j] * g[j])
        d_h[j] = ZERO
    for j in range(i.size):
        d_f[j] = d_c[j] * c_old[j] * f[j] * (ONE - f[j])
        d_c[j] = d_c[j] * f[j]


@jit
def _gru(n: Floats, r: Floats, z: Floats, m: Floats, h_old: Floats, h: Floats) -> None:
    """n = tanh(x + r m), m being W_hn h + b_hn; h = (1 - z) n + z h_old. As in torch.nn.GRU."""
    for j in range(n.size):
        r[j] = _sigmoid(r[j])
        z[j] = _sigmoid(z[j])
        n[j] = _tanh(n[j] + r[j] * m[j])
        h[j] = n[j] + z[j] * (h_old[j] - n[j])


@jit
def _gru_backward(
    n: Floats, r: Floats, z: Floats, m: Floats, h_old: Floats,
    d_h: Floats, d_n: Floats, d_r: Floats, d_z: Floats, d_m: Floats,
) -> None:  # fmt: skip
    for j in range(n.size):
        d_n[j] = d_h[j] * (ONE - z[j]) * (ONE - n[j] * n[j])
        d_m[j] = d_n[j] * r[j]
        d_r[j] = d_n[j] * m[j] * r[j] * (ONE - r[j])
        d_z[j] = d_h[j] * (h_old[j] - n[j]) * z[j] * (ONE - z[j])
        d_h[j] = d_h[j] * z[j]


@jit
def _rnn(h: Floats) -> None:
    """h = tanh(sum). As in torch.nn.RNN."""
    for j in range(h.size):
        h[j] = _tanh(h[j])


@jit
def _rnn_backward(h: Floats, d_h: Floats, d_sum: Floats) -> None:
    for j in range(h.size):
        d_sum[j] = d_h[j] * (ONE - h[j] * h[j])
        d_h[j] = ZERO


@jit
def step(cell: int, old: Floats, new: Floats, n: int) -> None:
    """Take one step.

    Args:
        cell: RNN, LSTM or GRU.
        old: (saved arrays, rows * units), the step before.
        new: The same of this step; the gates hold sums, and everything is written.
        n: How many values of each array are computed.
    """
    if cell == LSTM:
        _lstm(new[0, :n], new[1, :n], new[2, :n], new[3, :n], old[4, :n], new[4, :n], new[5, :n])
    elif cell == GRU:
        _gru(new[0, :n], new[1, :n], new[2, :n], new[3, :n], old[4, :n], new[4, :n])
    else:
        _rnn(new[0, :n])


@jit
def step_backward(
    cell: int, new: Floats, old: Floats, d_h: Floats, d_c: Floats, d_gates: Floats,
    begin: int, n: int,
) -> None:  # fmt: skip
    """Go back one step; ``d_gates`` (gates, any) is written from ``begin`` on."""
    end = begin + n
    if cell == LSTM:
        _lstm_backward(
            new[0, :n], new[1, :n], new[2, :n], new[3, :n], new[4, :n], old[4, :n],
            d_h[:n], d_c[:n], d_gates[0, begin:end], d_gates[1, begin:end],
            d_gates[2, begin:end], d_gates[3, begin:end],
        )  # fmt: skip
    elif cell == GRU:
        _gru_backward(
            new[0, :n], new[1, :n], new[2, :n], new[3, :n], old[4, :n], d_h[:n],
            d_gates[0, begin:end], d_gates[1, begin:end], d_gates[2, begin:end],
            d_gates[3, begin:end],
        )  # fmt: skip
    else:
        _rnn_backward(new[0, :n], d_h[:n], d_gates[0, begin:end])
