"""Runs stacks of recurrent layers with the backend that fits: compiled layers or torch's own.

Compiled layers (:mod:`zoo_recurrent.kernels`, by numba) compute float32 on the CPU, and where
autocast is enabled trainings with products in bfloat16. Torch's layers
(:mod:`zoo_recurrent.torch_layers`) compute everything else: other devices and types, a few steps
for which compiled code is not worth loading, and everything where numba is missing. What
``torch.export`` traces is computed by :mod:`zoo_recurrent.traceable`. Results agree to within
rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.interfaces import State
from zoo.nn import dropout, locked_dropout
from zoo_recurrent import torch_layers, traceable
from zoo_recurrent.environment import FEW_STEPS, numba_works, requested_backend


@dataclass(frozen=True, slots=True)
class Layers:
    """A stack of layers as backends see it.

    Args:
        mode: ``RNN_TANH``, ``LSTM`` or ``GRU``, with the equations of torch.nn.
        weights: W_ih, W_hh, b_ih and b_hh of each layer, of its forward direction first.
        num_directions: 1 or 2.
        dropout: Probability that a value between two layers is zeroed in training.
        training: Whether the stack is in training mode.
        locked_dropout: Whether dropout zeroes the same values at every step of a row.
    """

    mode: str
    weights: list[list[Tensor]]
    num_directions: int
    dropout: float
    training: bool
    locked_dropout: bool

    @property
    def num_layers(self) -> int:
        return len(self.weights) // self.num_directions

    def drop(self, values: Tensor) -> Tensor:
        """Return outputs (B, T, F) of a layer as the layer above reads them."""
        if self.locked_dropout:
            return locked_dropout(values, self.dropout, self.training)
        return dropout(values, self.dropout, self.training)

    def drop_weights(self, probability: float) -> Layers:
        """Return layers whose hidden-to-hidden weights are zeroed with a probability.

        The same weights are zeroed at every step, so that the backends compute as ever.
        Source: S. Merity, N. Keskar, R. Socher, Regularizing and optimizing LSTM language models,
        arXiv:1708.02182 (2017), section 2 (DropConnect).
        """
        weights = [
            [w_ih, dropout(w_hh, probability, training=True), b_ih, b_hh]
            for w_ih, w_hh, b_ih, b_hh in self.weights
        ]
        return replace(self, weights=weights)


def run_layers(
    layers: Layers,
    inputs: Tensor,
    lengths: Tensor,
    state: State,
    *,
    embedding: Tensor | None = None,
    return_outputs: bool = True,
) -> tuple[Tensor, State]:
    """Run a stack over right-padded rows.

    Args:
        layers: The stack.
        inputs: (B, T, I); or token ids (B, T) of rows of ``embedding``.
        lengths: (B,); a row without steps keeps its state.
        state: Tensors (num_layers * num_directions, B, H), hidden state first.
        embedding: (V, I); None stands for the identity: token ids are one-hot vectors then.
        return_outputs: Whether outputs are needed; if not, an empty tensor may be returned.

    Returns:
        Outputs (B, T, num_directions * H), zero at padding, and the state after each row's last
        step.

    Raises:
        ValueError: Sizes or types do not fit, or a length or token id is out of range.
        zoo.errors.UsageError: ``ZOO_BACKEND`` names a backend that cannot be used.
    """
    if torch.compiler.is_exporting():
        if embedding is not None:
            inputs = F.embedding(inputs, embedding)
        return traceable.run_traceable(layers, inputs, lengths, state)
    if torch.compiler.is_compiling():
        # torch.compile leaves the layers as they are, and compiles what is around them.
        run: Any = torch.compiler.disable(_run_eagerly)
        result: tuple[Tensor, State] = run(
            layers, inputs, lengths, state, embedding, return_outputs
        )
        return result
    return _run_eagerly(layers, inputs, lengths, state, embedding, return_outputs)


def _run_eagerly(
    layers: Layers,
    inputs: Tensor,
    lengths: Tensor,
    state: State,
    embedding: Tensor | None,
    return_outputs: bool,
) -> tuple[Tensor, State]:
    like = layers.weights[0][0]
    compiled = _uses_kernels(layers, inputs, embedding)
    if embedding is not None and not (compiled and embedding.dtype == torch.float32):
        inputs, embedding = F.embedding(inputs, embedding), None
    if inputs.is_floating_point() and like.device.type == "cpu":
        # Autocast leaves other types behind; layers take and return the type of their weights.
        inputs = inputs.to(like.dtype)
    if compiled:
        mixed = _is_mixed() and torch.is_grad_enabled()
        return _run_kernels(layers, inputs, lengths, state, embedding, return_outputs, mixed)
    by_layer = layers.locked_dropout and layers.training
    run = torch_layers.run_by_layer if by_layer else torch_layers.run_packed
    with torch.autocast("cpu", enabled=False):
        return run(layers, inputs, lengths, state)


def _is_mixed() -> bool:
    """Return whether autocast is enabled for products on the CPU."""
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16


def _uses_kernels(layers: Layers, inputs: Tensor, embedding: Tensor | None) -> bool:
    requested = requested_backend()
    if requested == "torch":
        return False
    for tensor in (weight for weights in layers.weights for weight in weights):
        if tensor.device.type != "cpu" or tensor.dtype != torch.float32:
            return False
    if requested == "auto":
        num_steps = inputs.shape[0] * inputs.shape[1]
        one_hot = embedding is None and not inputs.is_floating_point()
        input_size = layers.weights[0][0].shape[1]
        large = one_hot and num_steps * input_size > torch_layers.MAX_ONE_HOT
        if not torch.is_grad_enabled() and num_steps <= FEW_STEPS and not large:
            return False
    return numba_works(demanded=requested == "numba")


def _run_kernels(
    layers: Layers,
    inputs: Tensor,
    lengths: Tensor,
    state: State,
    embedding: Tensor | None,
    return_outputs: bool,
    mixed: bool,
) -> tuple[Tensor, State]:
    from zoo_recurrent.kernels import run_layer

    ends: list[State] = []
    values = inputs
    for layer in range(layers.num_layers):
        if layer and layers.dropout:
            values = layers.drop(values)
        directions = []
        for direction in range(layers.num_directions):
            index = layer * layers.num_directions + direction
            with torch.autocast("cpu", enabled=False):
                outputs, end = run_layer(
                    layers.mode,
                    values,
                    lengths,
                    tuple(part[index] for part in state),
                    layers.weights[index],
                    reverse=direction == 1,
                    embedding=None if layer else embedding,
                    return_outputs=return_outputs or layer < layers.num_layers - 1,
                    mixed=mixed,
                )
            directions.append(outputs)
            ends.append(end)
        values = torch.cat(directions, dim=2) if len(directions) > 1 else directions[0]
    return values, tuple(torch.stack(parts) for parts in zip(*ends, strict=True))
