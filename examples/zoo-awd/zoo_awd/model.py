"""An LSTM with the regularization of AWD-LSTM."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.interfaces import State
from zoo.nn import length_mask, locked_dropout
from zoo_awd.options import AWDOptions


class AWDLSTM(nn.Module):
    """Stacked LSTM with DropConnect, locked dropout and penalties on its activations.

    Of what the paper describes this is the part that concerns the model. Its optimizer (averaged
    SGD) is a setting of the training; tied weights and embedding dropout concern the task.

    Source: S. Merity, N. Keskar, R. Socher, Regularizing and optimizing LSTM language models,
    arXiv:1708.02182 (2017), sections 2 (DropConnect), 4.2 (locked dropout) and 4.6 (penalties).

    Args:
        input_size: Size of an input vector.
        options: See ``zoo show awd-lstm``.

    Attributes:
        output_size: Size of an output vector: the hidden size.
    """

    def __init__(self, input_size: int, options: AWDOptions) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, options.hidden_size
        self.options = options
        sizes = [input_size] + [options.hidden_size] * (options.num_layers - 1)
        self.layers = nn.ModuleList(
            nn.LSTM(size, options.hidden_size, batch_first=True) for size in sizes
        )
        self._penalty: Tensor | None = None

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run over a right-padded batch; see :class:`zoo.interfaces.Model`.

        The state is (h, c), each (num_layers, B, hidden_size).
        """
        steps = inputs.shape[1]
        raw, ends = locked_dropout(inputs, self.options.input_dropout, self.training), []
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, nn.LSTM)
            if number:
                raw = locked_dropout(raw, self.options.hidden_dropout, self.training)
            start = tuple(part[number, None] for part in state) if state else None
            # Packed, so that each row ends with the state of its own last step.
            packed = pack_padded_sequence(
                raw, lengths.cpu(), batch_first=True, enforce_sorted=False
            )
            weights = {"weight_hh_l0": self._drop_weights(layer.get_parameter("weight_hh_l0"))}
            packed, end = functional_call(layer, weights, (packed, start))
            raw, _ = pad_packed_sequence(packed, batch_first=True, total_length=steps)
            ends.append(end)
        outputs = locked_dropout(raw, self.options.output_dropout, self.training)
        if self.training:
            self._penalty = self._compute_penalty(raw, outputs, lengths)
        return outputs, tuple(torch.cat(parts) for parts in zip(*ends, strict=True))

    def penalty(self) -> Tensor:
        """Return alpha mean(m h_t)^2 + beta mean(h_t - h_{t+1})^2 of the last training batch.

        h_t is an output of the last layer and m the dropout mask. Means are over units and over
        the steps that are not padding. A second call returns zero, until the next batch.
        """
        computed, self._penalty = self._penalty, None
        return next(self.parameters()).new_zeros(()) if computed is None else computed

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the weight matrices with their weight decay, and the biases without."""
        named = list(self.named_parameters())
        return [
            {
                "params": [p for name, p in named if ".weight_" in name],
                "weight_decay": self.options.weight_decay,
            },
            {"params": [p for name, p in named if ".bias_" in name], "weight_decay": 0.0},
        ]

    def _compute_penalty(self, raw: Tensor, outputs: Tensor, lengths: Tensor) -> Tensor:
        mask = length_mask(lengths, raw.shape[1])
        # Outputs are zero at padding.
        activation = outputs.square().sum() / (mask.sum() * self.output_size)
        differences = (raw[:, 1:] - raw[:, :-1]).square() * mask[:, 1:, None]
        difference = differences.sum() / (mask[:, 1:].sum() * self.output_size).clamp(min=1)
        options = self.options
        return options.activation_penalty * activation + options.difference_penalty * difference

    def _drop_weights(self, weight: Tensor) -> Tensor:
        """Zero single weights; the same ones at every step of the batch."""
        return F.dropout(weight, self.options.weight_dropout, self.training)
