"""RNN, LSTM and GRU as zoo models: what differs between the cells, and nothing else.

Each is the torch.nn class of the same name with the zoo's ``forward``; see :mod:`.stack`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.interfaces import State
from zoo.layers import last, project
from zoo_recurrent import gru_scan
from zoo_recurrent.stack import Stack, look_up
from zoo_recurrent.steppers import gru_cell, lstm_cell, rnn_cell

# Beyond this, sigmoid is exactly 0 or 1 in float32 and float64.
_SATURATED = 1e4


class RNN(Stack, nn.RNN):
    """Elman network: h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh).

    Source: J. Elman, Finding structure in time, Cognitive Science 14 (1990).
    """

    kernel = staticmethod(torch.rnn_tanh)
    cell = staticmethod(rnn_cell)


class GRU(Stack, nn.GRU):
    """Gated recurrent unit, in torch's form (the reset gate acts after W_hn).

    Source: K. Cho et al., arXiv:1406.1078 (2014); equations as in torch.nn.GRU.
    """

    cell = staticmethod(gru_cell)

    def scan(
        self,
        inputs: Tensor,
        lengths: Tensor,
        padding: Tensor | None,
        start: State,
        weights: list[Tensor],
    ) -> tuple[Tensor, State]:
        """See :meth:`Stack.scan`."""
        w_ih, w_hh, b_ih, b_hh = weights
        # Not the steps that round a length up: they spare oneDNN a set-up, and cost time here.
        longest = int(lengths.max())
        gates = project(inputs[:, :longest].transpose(0, 1), w_ih, b_ih)
        outputs = gru_scan.scan(gates, start[0][0], w_hh, b_hh).transpose(0, 1)
        rest = (0, 0, 0, inputs.shape[1] - longest)
        return nn.functional.pad(outputs, rest), (last(outputs, lengths)[None],)


class LSTM(Stack, nn.LSTM):
    """Long short-term memory with forget gate.

    Source: S. Hochreiter and J. Schmidhuber, Neural Computation 9(8) (1997); forget gate:
    F. Gers et al., Neural Computation 12 (2000); equations as in torch.nn.LSTM, gates i, f, g, o.
    """

    states = 2
    kernel = staticmethod(torch.lstm)
    cell = staticmethod(lstm_cell)

    def scan(
        self,
        inputs: Tensor,
        lengths: Tensor,
        padding: Tensor | None,
        start: State,
        weights: list[Tensor],
    ) -> tuple[Tensor, State]:
        """See :meth:`Stack.scan`."""
        inputs, weights = look_up(inputs, weights)
        if padding is not None:
            # The cell state is not among the outputs, so it has to survive the padding: one more
            # input, which is 1 there, shuts the input gate and opens the forget gate entirely.
            size = self.hidden_size
            shut = weights[0].new_zeros(4 * size, 1)
            shut[:size], shut[size : 2 * size] = -_SATURATED, _SATURATED
            inputs = torch.cat((inputs, padding.to(inputs.dtype)), dim=2)
            weights = [torch.cat((weights[0], shut), dim=1), *weights[1:]]
        state = (start[0].contiguous(), start[1].contiguous())
        outputs, _, cell = self.kernel(
            inputs, state, weights, True, 1, 0.0, self.training, False, True
        )
        return outputs, (last(outputs, lengths)[None], cell)
