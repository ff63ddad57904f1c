"""What a cell does with its gates, value by value: the step, and the step's way back.

Arrays are flat, rows x units values of one gate or one state each. A gate comes in as the sum that
it is a function of, and leaves as its value. On the way back ``d_`` is the derivative of the loss
by what the name says; ``d_h`` comes in as that by the new state and leaves as that by the old one,
less what goes through the gates.
"""

from __future__ import annotations

import numpy as np
from numba import float32, int32

from zoo_recurrent.fused.compiler import compiled

RNN, LSTM, GRU = 0, 1, 2
# What the way back needs of a step; the LSTM's cell state is the fifth, the hidden state the last.
BLOCKS = {RNN: 1, LSTM: 6, GRU: 5}
CELL_STATE = 4

ZERO, ONE = float32(0), float32(1)
# Added to a number below 2^22 it leaves the nearest whole number, and 127, in the lowest bits.
_TO_WHOLE = float32(1.5 * 2**23 + 127)


@compiled
def _clamp(x, most):
    x = -most if x < -most else x
    return most if x > most else x


@compiled
def _exp2(x):
    """Return 2 to the x, for x in -126 ... 126, to within 2e-7 of itself.

    Source: S. Moshier, Cephes, exp2f.
    """
    whole = np.float32(x + _TO_WHOLE)
    x = x - (whole - _TO_WHOLE)
    y = float32(1.535336188319500e-4)
    y = y * x + float32(1.339887440266574e-3)
    y = y * x + float32(9.618437357674640e-3)
    y = y * x + float32(5.550332471162809e-2)
    y = y * x + float32(2.402264791363012e-1)
    y = y * x + float32(6.931472028550421e-1)
    y = y * x + ONE
    # The whole number as an exponent.
    return y * np.int32(whole.view(np.int32) << int32(23)).view(np.float32)


@compiled
def _sigmoid(x):
    return ONE / (ONE + _exp2(_clamp(x * float32(-1.44269504088896341), float32(126))))


@compiled
def _tanh(x):
    """Return tanh(x) to within 3e-7 of itself.

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


@compiled
def _lstm(i, f, g, o, c_old, c, h):
    """c = f c_old + i g; h = o tanh(c). Equations as in torch.nn.LSTM."""
    for j in range(i.size):
        i[j] = _sigmoid(i[j])
        f[j] = _sigmoid(f[j])
        g[j] = _tanh(g[j])
        o[j] = _sigmoid(o[j])
    for j in range(i.size):
        c[j] = f[j] * c_old[j] + i[j] * g[j]
        h[j] = o[j] * _tanh(c[j])


@compiled
def _lstm_back(i, f, g, o, c, c_old, d_h, d_c, d_i, d_f, d_g, d_o):
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


@compiled
def _gru(n, r, z, m, h_old, h):
    """n = tanh(x + r m), m being W_hn h + b_hn; h = (1 - z) n + z h_old. As in torch.nn.GRU."""
    for j in range(n.size):
        r[j] = _sigmoid(r[j])
        z[j] = _sigmoid(z[j])
        n[j] = _tanh(n[j] + r[j] * m[j])
        h[j] = n[j] + z[j] * (h_old[j] - n[j])


@compiled
def _gru_back(n, r, z, m, h_old, d_h, d_n, d_r, d_z, d_m):
    for j in range(n.size):
        d_n[j] = d_h[j] * (ONE - z[j]) * (ONE - n[j] * n[j])
        d_m[j] = d_n[j] * r[j]
        d_r[j] = d_n[j] * m[j] * r[j] * (ONE - r[j])
        d_z[j] = d_h[j] * (h_old[j] - n[j]) * z[j] * (ONE - z[j])
        d_h[j] = d_h[j] * z[j]


@compiled
def _rnn(h):
    """h = tanh(z). As in torch.nn.RNN."""
    for j in range(h.size):
        h[j] = _tanh(h[j])


@compiled
def _rnn_back(h, d_h, d_z):
    for j in range(h.size):
        d_z[j] = d_h[j] * (ONE - h[j] * h[j])
        d_h[j] = ZERO


@compiled
def step(cell, old, new, n):
    """Take one step: ``n`` values of each of the first blocks of new, its gates, to all of them."""
    if cell == LSTM:
        _lstm(new[0, :n], new[1, :n], new[2, :n], new[3, :n], old[4, :n], new[4, :n], new[5, :n])
    elif cell == GRU:
        _gru(new[0, :n], new[1, :n], new[2, :n], new[3, :n], old[4, :n], new[4, :n])
    else:
        _rnn(new[0, :n])


@compiled
def step_back(cell, new, old, d_h, d_c, d_z, at, n):
    """Go one step back; d_z (gates, :) is written from ``at`` on."""
    end = at + n
    if cell == LSTM:
        _lstm_back(
            new[0, :n], new[1, :n], new[2, :n], new[3, :n], new[4, :n], old[4, :n],
            d_h[:n], d_c[:n], d_z[0, at:end], d_z[1, at:end], d_z[2, at:end], d_z[3, at:end],
        )  # fmt: skip
    elif cell == GRU:
        _gru_back(
            new[0, :n], new[1, :n], new[2, :n], new[3, :n], old[4, :n],
            d_h[:n], d_z[0, at:end], d_z[1, at:end], d_z[2, at:end], d_z[3, at:end],
        )  # fmt: skip
    else:
        _rnn_back(new[0, :n], d_h[:n], d_z[0, at:end])
