"""One direction of one layer as a function of tensors, with gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding as look_up
from torch.nn.functional import pad

from zoo_recurrent.kernels.backward import backward
from zoo_recurrent.kernels.cells import CELLS, LSTM, NUM_SAVED
from zoo_recurrent.kernels.checks import check_arguments
from zoo_recurrent.kernels.forward import forward
from zoo_recurrent.kernels.layout import group_rows, pack_panels, round_up, split_gates
from zoo_recurrent.kernels.matmul import PANEL_WIDTH, TILE_ROWS
from zoo_recurrent.kernels.structures import (
    Batching,
    Floats,
    Gradients,
    Inputs,
    Results,
    SavedSteps,
    State,
    Weights,
)
from zoo_recurrent.kernels.threads import run_in_threads


def run_layer(
    mode: str,
    inputs: Tensor,
    lengths: Tensor,
    state: tuple[Tensor, ...],
    weights: list[Tensor],
    *,
    reverse: bool,
    embedding: Tensor | None = None,
    return_outputs: bool = True,
    mixed: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run one direction of one layer over right-padded rows.

    Args:
        mode: ``RNN_TANH``, ``LSTM`` or ``GRU``, with the equations of torch.nn.
        inputs: (B, T, I), or token ids (B, T) of rows of ``embedding``.
        lengths: (B,), steps of each row, 0 ... T. Padding is not read, but token ids have to be in
            range there, too.
        state: (h,) or (h, c) before the first step, each (B, H).
        weights: W_ih, W_hh, b_ih, b_hh as in torch.nn.
        reverse: Whether rows are read from their last step to their first.
        embedding: (V, I); None stands for the identity: token ids are one-hot vectors then.
        return_outputs: Whether outputs are needed.
        mixed: Whether products are computed in bfloat16; see
            :mod:`zoo_recurrent.kernels.mixed_layer`.

    Returns:
        Outputs (B, T, H), zero at padding, or (0, 0, 0) where they are not needed; and the state
        after each row's last step.

    Raises:
        ValueError: Sizes or types do not fit, or a length or token id is out of range.
        RuntimeError: In the backward pass, where second derivatives are asked for.
    """
    if embedding is not None and (mixed or torch.is_grad_enabled()):
        inputs, embedding = look_up(inputs, embedding), None
    check_arguments(mode, inputs, lengths, state, weights, embedding)
    one_hot = embedding is None and not inputs.is_floating_point()
    if one_hot:
        # Of a vocabulary, few tokens are in a batch.
        present, inputs = inputs.unique(return_inverse=True)
        weights = [weights[0].index_select(1, present), *weights[1:]]
    if mixed:
        from zoo_recurrent.kernels.mixed_layer import run_layer_mixed

        return run_layer_mixed(
            mode, inputs, lengths, state, weights, reverse=reverse, return_outputs=return_outputs
        )
    gates = split_gates(mode, weights)
    w_input, bias = gates.input, gates.bias[None]
    if one_hot:
        vectors, token_ids = _empty(0, 0), inputs
        bias, w_input = w_input.permute(2, 0, 1) + gates.bias, w_input[..., :0]
    elif embedding is None:
        vectors = inputs.flatten(0, 1)
        token_ids = torch.arange(len(vectors)).view(inputs.shape[:2])
    else:
        vectors, token_ids = embedding, inputs
    settings = _Settings(CELLS[mode], reverse, return_outputs, torch.is_grad_enabled())
    outputs, h, c = _LayerFunction.apply(  # type: ignore[no-untyped-call]
        settings, token_ids.long().contiguous(), lengths.to("cpu", torch.long).contiguous(),
        vectors.contiguous(), state[0].contiguous(),
        state[1].contiguous() if mode == "LSTM" else _empty(0, 0), w_input, bias, gates.recurrent,
    )  # fmt: skip
    return outputs, ((h, c) if mode == "LSTM" else (h,))


@dataclass(frozen=True, slots=True)
class _Settings:
    cell: int
    reverse: bool
    return_outputs: bool
    grad_enabled: bool


class _LayerFunction(torch.autograd.Function):
    """The layer as a function of vectors, initial state and weights by gate."""

    @staticmethod
    def forward(
        ctx: Any, settings: _Settings, token_ids: Tensor, lengths: Tensor, vectors: Tensor,
        h_0: Tensor, c_0: Tensor, w_input: Tensor, bias: Tensor, w_recurrent: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        (batch_size, num_steps), size = token_ids.shape, h_0.shape[1]
        units = round_up(size, PANEL_WIDTH)
        # A view of a parameter asks for a gradient even where gradients are disabled.
        save_for_backward = settings.grad_enabled and any(ctx.needs_input_grad)
        lengths_array, cell = lengths.numpy(), settings.cell
        num_threads = min(torch.get_num_threads(), -(-batch_size // TILE_ROWS))
        order, row_bounds = group_rows(lengths_array, num_threads)
        num_arrays = NUM_SAVED[cell]
        array_size = round_up(int(np.diff(row_bounds).max()), TILE_ROWS) * units
        # A group has as many steps as its first row.
        num_states = lengths_array[order[row_bounds[:-1]]] + 1
        if not save_for_backward:
            num_states = np.full_like(num_states, 2)
        value_bounds = np.cumsum([0, *num_states * num_arrays * array_size])
        saved = _empty(int(value_bounds[-1]))
        batching = Batching(
            lengths_array, order, np.stack((row_bounds, value_bounds), axis=1), settings.reverse,
            num_threads,
        )  # fmt: skip
        saved_steps = SavedSteps(saved.numpy(), num_arrays, array_size, save_for_backward)
        outputs = (
            _empty(batch_size, num_steps, size) if settings.return_outputs else _empty(0, 0, 0)
        )
        h_n, c_n = torch.empty_like(h_0), torch.empty_like(c_0)
        inputs = Inputs(_array(vectors), token_ids.numpy())
        weights = Weights(
            _array(pack_panels(w_input.transpose(1, 2))),
            _array(pack_panels(w_recurrent.transpose(1, 2))),
            _array((pad(bias, (0, units - size)) if units > size else bias).contiguous()),
        )
        initial = State(_array(h_0), _array(c_0))
        results = Results(outputs.numpy(), State(_array(h_n), _array(c_n)))

        def run(thread: int) -> None:
            forward(cell, batching, inputs, weights, initial, saved_steps, results, thread)

        run_in_threads(run, num_threads)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(vectors, token_ids, lengths, w_input, w_recurrent, saved)
        ctx.cell, ctx.batching, ctx.array_size, ctx.bias_rows = (
            cell,
            batching,
            array_size,
            len(bias),
        )
        return outputs, h_n, c_n

    @staticmethod
    def backward(
        ctx: Any, d_outputs: Tensor | None, d_h_n: Tensor | None, d_c_n: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            # torch's own once_differentiable lets it pass where the gradient is a constant.
            raise RuntimeError("second derivatives (create_graph) are not supported")
        vectors, token_ids, lengths, w_input, w_recurrent, saved = ctx.saved_tensors
        num_gates, size, input_size = w_input.shape
        units, num_recurrent, needs_d_vectors = (
            round_up(size, PANEL_WIDTH), len(w_recurrent), ctx.needs_input_grad[3],
        )  # fmt: skip
        cell, num_threads = ctx.cell, ctx.batching.num_threads
        one_hot = not len(vectors)
        d_h_0 = _empty(len(token_ids), size)
        d_c_0 = torch.empty_like(d_h_0) if cell == LSTM else _empty(0, 0)
        d_vectors = _empty(*vectors.shape) if needs_d_vectors else _empty(0, 0)
        if one_hot:
            d_input = _zeros(num_threads, ctx.bias_rows, num_gates * units)
        else:
            d_input = _zeros(num_threads, num_gates * units, round_up(input_size + 1, PANEL_WIDTH))
        d_recurrent = _zeros(num_threads, num_recurrent * units, units)
        inputs = Inputs(_array(vectors), token_ids.numpy())
        input_weights, recurrent_weights = (
            _array(pack_panels(weight)) for weight in (w_input, w_recurrent)
        )
        d_results = Results(
            _array(_empty(0, 0, 0) if d_outputs is None else d_outputs.contiguous()),
            State(
                _array(torch.zeros_like(d_h_0) if d_h_n is None else d_h_n.contiguous()),
                _array(torch.zeros_like(d_c_0) if d_c_n is None else d_c_n.contiguous()),
            ),
        )
        gradients = Gradients(
            _array(d_vectors), State(_array(d_h_0), _array(d_c_0)), _array(d_input),
            _array(d_recurrent),
        )  # fmt: skip
        batching = ctx.batching._replace(lengths=lengths.numpy())
        saved_steps = SavedSteps(saved.numpy(), NUM_SAVED[cell], ctx.array_size, True)

        def run(thread: int) -> None:
            backward(
                cell, batching, inputs, input_weights, recurrent_weights, saved_steps, d_results,
                gradients, thread,
            )  # fmt: skip

        run_in_threads(run, num_threads)
        if one_hot:
            d_w_input = None
            d_bias = d_input.sum(0).view(-1, num_gates, units)[..., :size]
        else:
            by_gate = d_input.sum(0).view(num_gates, units, -1)[:, :size]
            d_w_input, d_bias = by_gate[..., :input_size], by_gate[None, ..., input_size]
        d_w_recurrent = d_recurrent.sum(0).view(num_recurrent, units, units)[:, :size, :size]
        return (
            None, None, None, d_vectors if needs_d_vectors else None, d_h_0, d_c_0, d_w_input,
            d_bias, d_w_recurrent,
        )  # fmt: skip


def _empty(*shape: int) -> Tensor:
    """Return float32, whatever torch's default type is at the time."""
    return torch.empty(shape, dtype=torch.float32)


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.float32)


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().numpy()
    return array
