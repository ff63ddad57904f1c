"""Networks in which the output, and not the hidden layer, comes back at the next step.

The recurrent edge goes from the output layer to the hidden layer, or from the output layer to
itself. A stacked layer reads the outputs of the one below.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.interfaces import DecodeStep, State
from zoo.nn import dropout, gather_last, length_mask, linear
from zoo_recurrent.options import OutputRecurrenceOptions
from zoo_recurrent.traceable import run_steps


class OutputRecurrence(nn.Module):
    """What both networks share: layers, parameters, padding.

    The state is one tensor (num_layers, B, output_size), the last output of each layer.

    Args:
        input_size: Size of an input vector.
        options: The options.
    """

    recurrent_name = ""
    weight_xh_l0: Tensor
    bias_h_l0: Tensor

    def __init__(self, input_size: int, options: OutputRecurrenceOptions) -> None:
        super().__init__()
        self.options = options
        self.input_size = input_size
        self.output_size = output_size = options.output_size
        hidden_size = options.hidden_size
        recurrent_size = hidden_size if self.recurrent_name == "oh" else output_size
        bound = 1 / math.sqrt(hidden_size)
        for layer in range(options.num_layers):
            shapes = {
                "weight_xh": (hidden_size, output_size if layer else input_size),
                "weight_ho": (output_size, hidden_size),
                f"weight_{self.recurrent_name}": (recurrent_size, output_size),
                "bias_h": (hidden_size,),
                "bias_o": (output_size,),
            }
            for name, shape in shapes.items():
                values = torch.empty(shape).uniform_(-bound, bound)
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(values))

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run over right-padded rows; see :class:`zoo.interfaces.Model`.

        Args:
            inputs: (B, T, input_size).
            lengths: (B,), at least 1.
            state: What an earlier call returned, or None for zeros.

        Returns:
            Outputs (B, T, output_size), and the state after the last step of each row.
        """
        padding = ~length_mask(lengths, inputs.shape[1])[..., None]
        values = inputs.masked_fill(padding, 0.0)
        return self._run(linear(values, self.weight_xh_l0, self.bias_h_l0), padding, lengths, state)

    def forward_embedded(
        self,
        weight: Tensor | None,
        token_ids: Tensor,
        lengths: Tensor,
        state: State | None = None,
        *,
        return_outputs: bool = True,
    ) -> tuple[Tensor, State]:
        """Return what ``forward`` returns for ``weight[token_ids]``; outputs are always returned.

        See :class:`zoo.interfaces.ForwardsEmbedded`.
        """
        if weight is not None:
            result: tuple[Tensor, State] = self.forward(
                F.embedding(token_ids, weight), lengths, state
            )
            return result
        padding = ~length_mask(lengths, token_ids.shape[1])[..., None]
        # The product with a one-hot vector is a column of the matrix.
        products = F.embedding(token_ids, self.weight_xh_l0.t()) + self.bias_h_l0
        return self._run(products, padding, lengths, state)

    def decode_step(self, weight: Tensor | None) -> DecodeStep:
        """Return a step function for generation; see :class:`zoo.interfaces.DecodesSteps`."""

        def step(token_ids: Tensor, state: State | None) -> tuple[Tensor, State]:
            lengths = torch.ones_like(token_ids)
            outputs, end = self.forward_embedded(weight, token_ids[:, None], lengths, state)
            return outputs[:, 0], end

        return step

    def _run(
        self, products: Tensor, padding: Tensor, lengths: Tensor, state: State | None
    ) -> tuple[Tensor, State]:
        """Run all layers; ``products`` (B, T, hidden_size) are W_xh x + b_h of the first."""
        ends = []
        for layer in range(self.options.num_layers):
            w_ho, w_recurrent, b_o = self._parameters_of(
                layer, "weight_ho", f"weight_{self.recurrent_name}", "bias_o"
            )
            if state is None:
                start = b_o.new_zeros(products.shape[0], self.output_size)
            else:
                start = state[0][layer]
            outputs = self.run_layer(products, start, w_ho, w_recurrent, b_o)
            ends.append(gather_last(outputs, lengths))
            values = outputs.masked_fill(padding, 0.0)
            if layer + 1 < self.options.num_layers:
                read = dropout(values, self.options.dropout, self.training)
                w_xh, b_h = self._parameters_of(layer + 1, "weight_xh", "bias_h")
                products = linear(read, w_xh, b_h)
        return values, (torch.stack(ends),)

    def _parameters_of(self, layer: int, *names: str) -> list[Tensor]:
        return [getattr(self, f"{name}_l{layer}") for name in names]

    def run_layer(
        self, products: Tensor, start: Tensor, w_ho: Tensor, w_recurrent: Tensor, b_o: Tensor
    ) -> Tensor:
        """Return outputs (B, T, output_size) of one layer.

        Args:
            products: (B, T, hidden_size), W_xh x + b_h of every step.
            start: (B, output_size), the output before the first step.
            w_ho: (output_size, hidden_size).
            w_recurrent: W_oh (hidden_size, output_size) or W_oo (output_size, output_size).
            b_o: (output_size,).
        """
        raise NotImplementedError


class OutputToHidden(OutputRecurrence):
    """h_t = tanh(W_xh x_t + W_oh o_{t-1} + b_h);  o_t = tanh(W_ho h_t + b_o).

    Source: M. Jordan, Serial order, ICS Report 8604, UCSD (1986).
    """

    recurrent_name = "oh"

    def run_layer(
        self, products: Tensor, start: Tensor, w_ho: Tensor, w_recurrent: Tensor, b_o: Tensor
    ) -> Tensor:
        def step(output: Tensor, product: Tensor) -> Tensor:
            hidden = torch.tanh(product + output @ w_recurrent.t())
            return torch.tanh(F.linear(hidden, w_ho, b_o))

        return run_steps(step, start, products)


class OutputToOutput(OutputRecurrence):
    """h_t = tanh(W_xh x_t + b_h);  o_t = tanh(W_ho h_t + W_oo o_{t-1} + b_o).

    The hidden layer has no past, so the output layer is an Elman network that reads it.
    """

    recurrent_name = "oo"

    def run_layer(
        self, products: Tensor, start: Tensor, w_ho: Tensor, w_recurrent: Tensor, b_o: Tensor
    ) -> Tensor:
        if isinstance(products.shape[1], torch.SymInt):

            def step(output: Tensor, hidden: Tensor) -> Tensor:
                return torch.tanh(F.linear(hidden, w_ho, b_o) + output @ w_recurrent.t())

            return run_steps(step, start, torch.tanh(products))
        weights = [w_ho, w_recurrent, b_o, torch.zeros_like(b_o)]
        outputs, _ = torch.rnn_tanh(
            torch.tanh(products), start[None], weights, True, 1, 0.0, self.training, False, True
        )
        return outputs
