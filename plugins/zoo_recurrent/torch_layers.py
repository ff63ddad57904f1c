"""Stacks of recurrent layers computed by torch's own layers; see :mod:`zoo_recurrent.backends`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from zoo.interfaces import State

if TYPE_CHECKING:
    from zoo_recurrent.backends import Layers

# The most numbers that one-hot vectors may have to be written out.
MAX_ONE_HOT = 1 << 20


def run_packed(
    layers: Layers, inputs: Tensor, lengths: Tensor, state: State
) -> tuple[Tensor, State]:
    """Run a stack over packed rows, so that nothing is computed for padding.

    Arguments and results are those of :func:`zoo_recurrent.backends.run_layers`.
    """
    weights = layers.weights
    if not inputs.is_floating_point():
        input_size = weights[0][0].shape[1]
        if inputs.numel() * input_size > MAX_ONE_HOT:
            inputs, weights = look_up_columns(layers, inputs)
        else:
            inputs = F.one_hot(inputs, input_size).to(weights[0][0].dtype)
    lengths = lengths.cpu()
    # Packed rows have at least one step: a row without any gets one, of zeros, and keeps its state.
    empty = (lengths < 1).to(inputs.device) if bool((lengths < 1).any()) else None
    if empty is not None:
        lengths = lengths.clamp(min=1)
        inputs = inputs.masked_fill(empty[:, None, None], 0)
    rows = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    assert rows.sorted_indices is not None and rows.unsorted_indices is not None
    sorted_state = tuple(part.index_select(1, rows.sorted_indices) for part in state)
    packed, sorted_end = _call_torch(layers, weights, rows, sorted_state)
    end = tuple(part.index_select(1, rows.unsorted_indices) for part in sorted_end)
    outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=inputs.shape[1])
    if empty is not None:
        outputs = outputs.masked_fill(empty[:, None, None], 0)
        end = tuple(torch.where(empty[:, None], *pair) for pair in zip(state, end, strict=True))
    return outputs, end


def run_by_layer(
    layers: Layers, inputs: Tensor, lengths: Tensor, state: State
) -> tuple[Tensor, State]:
    """Run a stack layer by layer, for locked dropout: torch's functions of whole stacks have none.

    Arguments and results are those of :func:`run_packed`.
    """
    ends: list[State] = []
    values = inputs
    for first in range(0, len(layers.weights), layers.num_directions):
        own = slice(first, first + layers.num_directions)
        layer = replace(layers, weights=layers.weights[own], dropout=0.0)
        if first:
            values = layers.drop(values)
        values, end = run_packed(layer, values, lengths, tuple(part[own] for part in state))
        ends.append(end)
    return values, tuple(torch.cat(parts) for parts in zip(*ends, strict=True))


def _call_torch(
    layers: Layers, weights: list[list[Tensor]], rows: PackedSequence, state: State
) -> tuple[PackedSequence, State]:
    """Call torch's function for a whole stack."""
    flat = [weight for group in weights for weight in group]
    settings = (
        True, layers.num_layers, layers.dropout, layers.training, layers.num_directions == 2,
    )  # fmt: skip
    end: State
    if layers.mode == "LSTM":
        data, *end_parts = torch.lstm(rows.data, rows.batch_sizes, state, flat, *settings)
        end = tuple(end_parts)
    else:
        function = torch.gru if layers.mode == "GRU" else torch.rnn_tanh
        data, h = function(rows.data, rows.batch_sizes, state[0], flat, *settings)
        end = (h,)
    return rows._replace(data=data), end


def look_up_columns(layers: Layers, token_ids: Tensor) -> tuple[Tensor, list[list[Tensor]]]:
    """Return columns of the first layer's W_ih as inputs, and weights with the identity for it.

    Multiplying one-hot vectors by W_ih selects its columns. As inputs they are as wide as the gates
    of all directions, and not as the vocabulary.
    """
    first, above = layers.weights[: layers.num_directions], layers.weights[layers.num_directions :]
    columns = torch.cat([w_ih for w_ih, *_ in first]).t()
    identity = torch.eye(columns.shape[1], dtype=columns.dtype, device=columns.device)
    parts = identity.chunk(layers.num_directions)
    replaced = [[part, *others] for part, (_, *others) in zip(parts, first, strict=True)]
    return F.embedding(token_ids, columns), [*replaced, *above]
