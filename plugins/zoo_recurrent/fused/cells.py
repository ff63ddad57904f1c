"""What a cell does with its gates, value by value: the step, and the step's way back.

Arrays are flat, rows x units values of one gate or one state each. On the way back ``d_`` is the
derivative of the loss by what the name says; ``d_h`` comes in as that by the new state and leaves
as that by the old one, less what goes through the gates.
"""

from __future__ import annotations

import numpy as np
from numba import float32, int32

from zoo_recurrent.fused.compiler import compiled

RNN, LSTM, GRU = 0, 1, 2
# What the way back needs of a step; the LSTM's cell state is the fifth, the hidden state the last.
BLOCKS = {RNN: 1, LSTM: 6, GRU: 5}
CELL_STATE = 4

ZERO, HALF, ONE, TWO = float32(0), float32(0.5), float32(1), float32(2)


@compiled
def _exp(x):
    """Return e to the x, taken into -87 ... 88, to within 1e-7 of itself.

    Source: S. Moshier, Cephes, expf.
    """
    x = float32(-87) if x < float32(-87) else x
    x = float32(88) if x > float32(88) else x
    n = np.floor(x * float32(1.44269504088896341) + HALF)
    # ln 2 in two parts, the first of few bits: n times it is exact.
    x = x - n * float32(0.693359375) - n * float32(-2.12194440e-4)
    y = float32(1.9875691500e-4)
    y = y * x + float32(1.3981999507e-3)
    y = y * x + float32(8.3334519073e-3)
    y = y * x + float32(4.1665795894e-2)
    y = y * x + float32(1.6666665459e-1)
    y = y * x + float32(5.0000001201e-1)
    y = y * x * x + x + ONE
    return y * np.int32((int32(n) + int32(127)) << int32(23)).view(np.float32)


@compiled
def _sigmoid(x):
    return ONE / (ONE + _exp(-x))


@compiled
def _tanh(x):
    """Return tanh(x) to within 3e-7 of itself. Source: S. Moshier, Cephes, tanhf."""
    s = x * x
    y = float32(-5.70498872745e-3)
    y = y * s + float32(2.06390887954e-2)
    y = y * s + float32(-5.37397155531e-2)
    y = y * s + float32(1.33314422036e-1)
    y = y * s + float32(-3.33332819422e-1)
    near = y * s * x + x
    far = ONE - TWO / (_exp(TWO * x) + ONE)
    return near if abs(x) < float32(0.625) else far


@compiled
def _lstm(z_i, z_f, z_g, z_o, c_old, i, f, g, o, c, h):
    """c = f c_old + i g; h = o tanh(c). Equations as in torch.nn.LSTM."""
    for j in range(z_i.size):
        i[j] = _sigmoid(z_i[j])
        f[j] = _sigmoid(z_f[j])
        g[j] = _tanh(z_g[j])
        o[j] = _sigmoid(z_o[j])
    for j in range(z_i.size):
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
def _gru(z_n, z_r, z_z, z_m, h_old, n, r, z, m, h):
    """n = tanh(x + r m), m being W_hn h + b_hn; h = (1 - z) n + z h_old. As in torch.nn.GRU."""
    for j in range(z_n.size):
        r[j] = _sigmoid(z_r[j])
        z[j] = _sigmoid(z_z[j])
        m[j] = z_m[j]
        n[j] = _tanh(z_n[j] + r[j] * m[j])
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
def _rnn(z, h):
    """h = tanh(z). As in torch.nn.RNN."""
    for j in range(z.size):
        h[j] = _tanh(z[j])


@compiled
def _rnn_back(h, d_h, d_z):
    for j in range(h.size):
        d_z[j] = d_h[j] * (ONE - h[j] * h[j])
        d_h[j] = ZERO


@compiled
def step(cell, z, old, new, n):
    """Take one step: ``n`` values of each gate in z (gates, :) and of old (blocks, :) into new."""
    if cell == LSTM:
        _lstm(
            z[0, :n], z[1, :n], z[2, :n], z[3, :n], old[4, :n],
            new[0, :n], new[1, :n], new[2, :n], new[3, :n], new[4, :n], new[5, :n],
        )  # fmt: skip
    elif cell == GRU:
        _gru(
            z[0, :n], z[1, :n], z[2, :n], z[3, :n], old[4, :n],
            new[0, :n], new[1, :n], new[2, :n], new[3, :n], new[4, :n],
        )  # fmt: skip
    else:
        _rnn(z[0, :n], new[0, :n])


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
