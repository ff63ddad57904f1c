"""Networks whose output, not their hidden layer, is what comes back at the next step.

The two other places where a recurrent edge can end, beside hidden-to-hidden: from the output layer
to the hidden layer, and from the output layer to itself. A stacked layer reads the outputs of the
one below.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.interfaces import State
from zoo.layers import last, project, real


class OutputRecurrence(nn.Module):
    """What both recurrences share: layers, parameters, padding.

    Args:
        input_size: Size of an input vector.
        hidden_size: Units in the hidden layer of each layer.
        output_size: Units in the output layer of each layer.
        num_layers: Layers.
        dropout: Share of values dropped between layers in training.

    Raises:
        ValueError: dropout is set and there is nothing between layers to drop.
    """

    recurrent_name = ""

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: int,
        output_size: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        if dropout and num_layers == 1:
            raise ValueError("dropout acts between layers, and num_layers is 1")
        self.input_size = input_size
        self.output_size = output_size
        self.num_layers = num_layers
        self.dropout = dropout
        end = hidden_size if self.recurrent_name == "oh" else output_size
        for layer in range(num_layers):
            read = output_size if layer else input_size
            shapes = {
                f"weight_xh_l{layer}": (hidden_size, read),
                f"weight_ho_l{layer}": (output_size, hidden_size),
                f"weight_{self.recurrent_name}_l{layer}": (end, output_size),
                f"bias_h_l{layer}": (hidden_size,),
                f"bias_o_l{layer}": (output_size,),
            }
            for name, shape in shapes.items():
                bound = 1 / math.sqrt(hidden_size)
                self.register_parameter(
                    name, nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
                )

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """See :class:`zoo.interfaces.Model`; the state is the last output of each layer."""
        padding = ~real(lengths, inputs.shape[1])[..., None]
        values = inputs.masked_fill(padding, 0.0) if inputs.is_floating_point() else inputs
        ends = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                values = nn.functional.dropout(values, self.dropout, self.training)
            if state is None:
                start = self.bias_o_l0.new_zeros(len(inputs), self.output_size)
            else:
                start = state[0][layer]
            names = ("weight_xh", "weight_ho", f"weight_{self.recurrent_name}", "bias_h", "bias_o")
            weights = [getattr(self, f"{name}_l{layer}") for name in names]
            outputs = self.scan(values, start, *weights)
            ends.append(last(outputs, lengths))
            values = outputs.masked_fill(padding, 0.0)
        return values, (torch.stack(ends),)

    def scan(
        self,
        inputs: Tensor,
        start: Tensor,
        w_xh: Tensor,
        w_ho: Tensor,
        w_back: Tensor,
        b_h: Tensor,
        b_o: Tensor,
    ) -> Tensor:
        """Return outputs (B, T, output_size) of one layer that starts from an output (B, O)."""
        raise NotImplementedError


class OutputToHidden(OutputRecurrence):
    """h_t = tanh(W_xh x_t + W_oh o_{t-1} + b_h);  o_t = tanh(W_ho h_t + b_o).

    Source: M. Jordan, Serial order, ICS Report 8604, UCSD (1986).
    """

    recurrent_name = "oh"

    def scan(
        self,
        inputs: Tensor,
        start: Tensor,
        w_xh: Tensor,
        w_ho: Tensor,
        w_back: Tensor,
        b_h: Tensor,
        b_o: Tensor,
    ) -> Tensor:
        output = start
        outputs = []
        # The product with the inputs needs no earlier step, so it is one product for all steps.
        for read in project(inputs, w_xh, b_h).unbind(1):
            hidden = torch.tanh(read + output @ w_back.t())
            output = torch.tanh(nn.functional.linear(hidden, w_ho, b_o))
            outputs.append(output)
        return torch.stack(outputs, dim=1)


class OutputToOutput(OutputRecurrence):
    """h_t = tanh(W_xh x_t + b_h);  o_t = tanh(W_ho h_t + W_oo o_{t-1} + b_o).

    The hidden layer has no past, so the output layer is an Elman network that reads it.
    """

    recurrent_name = "oo"

    def scan(
        self,
        inputs: Tensor,
        start: Tensor,
        w_xh: Tensor,
        w_ho: Tensor,
        w_back: Tensor,
        b_h: Tensor,
        b_o: Tensor,
    ) -> Tensor:
        hidden = torch.tanh(project(inputs, w_xh, b_h))
        weights = [w_ho, w_back, b_o, torch.zeros_like(b_o)]
        outputs, _ = torch.rnn_tanh(
            hidden, start[None], weights, True, 1, 0.0, self.training, False, True
        )
        return outputs
