"""RNN, LSTM and GRU as zoo models: what differs between the cells, and nothing else.

Each is the torch.nn class of the same name with the zoo's ``forward``; see :mod:`.stack`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.interfaces import State, Stepper
from zoo.layers import project
from zoo_recurrent.stack import Stack, hidden_at_end
from zoo_recurrent.steppers import gru_cell, lstm_cell, rnn_cell, stepper

# Beyond this, sigmoid is exactly 0 or 1 in float32 and float64.
_SATURATED = 1e4


def _input_weights(inputs: Tensor, w_ih: Tensor) -> tuple[Tensor, Tensor]:
    """Turn one-hot indices (B, T) into the gate inputs that they select, and W_ih into identity."""
    if inputs.is_floating_point():
        return inputs, w_ih
    return project(inputs, w_ih), torch.eye(len(w_ih), device=w_ih.device, dtype=w_ih.dtype)


class RNN(Stack, nn.RNN):
    """Elman network: h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh).

    Source: J. Elman, Finding structure in time, Cognitive Science 14 (1990).
    """

    def scan(
        self,
        inputs: Tensor,
        lengths: Tensor,
        padding: Tensor | None,
        start: State,
        weights: list[Tensor],
    ) -> tuple[Tensor, State]:
        w_ih, w_hh, b_ih, b_hh = weights
        inputs, w_ih = _input_weights(inputs, w_ih)
        outputs, _ = torch.rnn_tanh(
            inputs, start[0], [w_ih, w_hh, b_ih, b_hh], True, 1, 0.0, self.training, False, True
        )
        return outputs, (hidden_at_end(outputs, lengths),)

    def stepper(self, table: Tensor) -> Stepper:
        """Return a function from (S,) rows of ``table`` (V, input_size) to (S, output_size)."""
        return stepper(self, table, rnn_cell)


class GRU(Stack, nn.GRU):
    """Gated recurrent unit, in torch's form (the reset gate acts after W_hn).

    Source: K. Cho et al., arXiv:1406.1078 (2014); equations as in torch.nn.GRU.
    """

    def scan(
        self,
        inputs: Tensor,
        lengths: Tensor,
        padding: Tensor | None,
        start: State,
        weights: list[Tensor],
    ) -> tuple[Tensor, State]:
        w_ih, w_hh, b_ih, b_hh = weights
        inputs, w_ih = _input_weights(inputs, w_ih)
        outputs, _ = torch.gru(
            inputs, start[0], [w_ih, w_hh, b_ih, b_hh], True, 1, 0.0, self.training, False, True
        )
        return outputs, (hidden_at_end(outputs, lengths),)

    def stepper(self, table: Tensor) -> Stepper:
        """Return a function from (S,) rows of ``table`` (V, input_size) to (S, output_size)."""
        return stepper(self, table, gru_cell)


class LSTM(Stack, nn.LSTM):
    """Long short-term memory with forget gate.

    Source: S. Hochreiter and J. Schmidhuber, Neural Computation 9(8) (1997); forget gate:
    F. Gers et al., Neural Computation 12 (2000); equations as in torch.nn.LSTM, gates i, f, g, o.
    """

    states = 2

    def scan(
        self,
        inputs: Tensor,
        lengths: Tensor,
        padding: Tensor | None,
        start: State,
        weights: list[Tensor],
    ) -> tuple[Tensor, State]:
        w_ih, w_hh, b_ih, b_hh = weights
        inputs, w_ih = _input_weights(inputs, w_ih)
        if padding is not None:
            # The cell state is not among the outputs, so it has to survive the padding: one more
            # input, which is 1 there, shuts the input gate and opens the forget gate entirely.
            size = self.hidden_size
            shut = w_ih.new_zeros(4 * size, 1)
            shut[:size], shut[size : 2 * size] = -_SATURATED, _SATURATED
            inputs = torch.cat((inputs, padding.to(inputs.dtype)), dim=2)
            w_ih = torch.cat((w_ih, shut), dim=1)
        outputs, _, cell = torch.lstm(
            inputs,
            (start[0].contiguous(), start[1].contiguous()),
            [w_ih, w_hh, b_ih, b_hh],
            True,
            1,
            0.0,
            self.training,
            False,
            True,
        )
        return outputs, (hidden_at_end(outputs, lengths), cell)

    def stepper(self, table: Tensor) -> Stepper:
        """Return a function from (S,) rows of ``table`` (V, input_size) to (S, output_size)."""
        return stepper(self, table, lstm_cell)
