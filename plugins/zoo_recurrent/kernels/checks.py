"""Refuses arguments that do not fit: compiled code would read whatever lies beyond an array."""

from __future__ import annotations

import torch
from torch import Tensor

_NUM_GATES = {"RNN_TANH": 1, "LSTM": 4, "GRU": 3}


def check_arguments(
    mode: str,
    inputs: Tensor,
    lengths: Tensor,
    state: tuple[Tensor, ...],
    weights: list[Tensor],
    embedding: Tensor | None,
) -> None:
    """Check the arguments of :func:`zoo_recurrent.kernels.run_layer`.

    Raises:
        ValueError: Sizes or types do not fit, or a length or token id is out of range.
    """
    hidden_size, input_size = weights[1].shape[-1], weights[0].shape[-1]
    _check_weights(mode, weights, input_size, hidden_size)
    tokens = not inputs.is_floating_point()
    if inputs.dim() != (2 if tokens else 3) or not (tokens or inputs.shape[2] == input_size):
        raise ValueError(
            f"inputs {tuple(inputs.shape)} are neither (B, T, {input_size}) nor token ids (B, T)"
        )
    batch_size, num_steps = inputs.shape[:2]
    if not batch_size or not num_steps:
        raise ValueError("inputs have no rows or no steps")
    if embedding is not None and (
        not tokens or embedding.dim() != 2 or embedding.shape[1] != input_size
    ):
        raise ValueError(f"the embedding is not (V, {input_size}), or inputs are no token ids")
    vocabulary = input_size if embedding is None else len(embedding)
    if tokens and not 0 <= int(inputs.min()) <= int(inputs.max()) < vocabulary:
        raise ValueError(f"a token id is not in 0 ... {vocabulary - 1}")
    if (
        lengths.shape != (batch_size,)
        or lengths.is_floating_point()
        or not 0 <= int(lengths.min()) <= int(lengths.max()) <= num_steps
    ):
        raise ValueError(f"lengths are not {batch_size} integers in 0 ... {num_steps}")
    num_tensors = 2 if mode == "LSTM" else 1
    if [tuple(part.shape) for part in state] != [(batch_size, hidden_size)] * num_tensors:
        raise ValueError(
            f"the state of {mode} is not {num_tensors} x ({batch_size}, {hidden_size})"
        )
    vectors = embedding if tokens else inputs
    for value in (*weights, *state, *(() if vectors is None else (vectors,))):
        if value.dtype != torch.float32 or value.device.type != "cpu":
            raise ValueError("not everything is float32 on the CPU")


def _check_weights(mode: str, weights: list[Tensor], input_size: int, hidden_size: int) -> None:
    rows = _NUM_GATES[mode] * hidden_size
    expected = [(rows, input_size), (rows, hidden_size), (rows,), (rows,)]
    if [tuple(weight.shape) for weight in weights] != expected:
        raise ValueError(f"weights are not those of {mode} from {input_size} to {hidden_size}")
    if input_size < 1 or hidden_size < 1:
        raise ValueError(f"a size is 0: {input_size} to {hidden_size}")
