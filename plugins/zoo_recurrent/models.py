"""RNN, LSTM and GRU, one-directional or bidirectional: what differs between the cells.

Each is the torch.nn class of the same name with zoo's ``forward``; see :mod:`zoo_recurrent.stack`.
"""

from __future__ import annotations

from torch import nn

from zoo_recurrent.decode import gru_cell, lstm_cell, rnn_cell
from zoo_recurrent.stack import Stack


class RNN(Stack, nn.RNN):  # type: ignore[misc]
    """Elman network: h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh).

    Source: J. Elman, Finding structure in time, Cognitive Science 14 (1990).
    """

    cell = staticmethod(rnn_cell)


class GRU(Stack, nn.GRU):  # type: ignore[misc]
    """Gated recurrent unit, in torch's form (the reset gate acts after W_hn).

    Source: K. Cho et al., arXiv:1406.1078 (2014); equations as in torch.nn.GRU.
    """

    cell = staticmethod(gru_cell)


class LSTM(Stack, nn.LSTM):  # type: ignore[misc]
    """Long short-term memory with forget gate.

    Source: S. Hochreiter and J. Schmidhuber, Neural Computation 9(8) (1997); forget gate:
    F. Gers et al., Neural Computation 12 (2000); equations as in torch.nn.LSTM, gates i, f, g, o.
    """

    num_state_tensors = 2
    cell = staticmethod(lstm_cell)
