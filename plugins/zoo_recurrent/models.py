"""RNN, LSTM and GRU as zoo models: what differs between the cells, and nothing else.

Each is the torch.nn class of the same name with the zoo's ``forward``; see :mod:`.stack`.
"""

from __future__ import annotations

from torch import nn

from zoo_recurrent.stack import Stack
from zoo_recurrent.steppers import gru_cell, lstm_cell, rnn_cell


class RNN(Stack, nn.RNN):
    """Elman network: h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh).

    Source: J. Elman, Finding structure in time, Cognitive Science 14 (1990).
    """

    cell = staticmethod(rnn_cell)


class GRU(Stack, nn.GRU):
    """Gated recurrent unit, in torch's form (the reset gate acts after W_hn).

    Source: K. Cho et al., arXiv:1406.1078 (2014); equations as in torch.nn.GRU.
    """

    cell = staticmethod(gru_cell)


class LSTM(Stack, nn.LSTM):
    """Long short-term memory with forget gate.

    Source: S. Hochreiter and J. Schmidhuber, Neural Computation 9(8) (1997); forget gate:
    F. Gers et al., Neural Computation 12 (2000); equations as in torch.nn.LSTM, gates i, f, g, o.
    """

    states = 2
    cell = staticmethod(lstm_cell)
