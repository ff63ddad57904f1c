"""Exact operations on right-padded batches, for authors of models and of networks."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.interfaces import State

# So many multiplications are worth another way of doing them.
_MANY = 1 << 23


def real(lengths: Tensor, steps: int) -> Tensor:
    """Return (B, T) booleans: True where a step is real, False where it is padding."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def reverse(values: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each row (B, T, ...) within its length; padding stays where it is.

    Applying it twice gives the input back.
    """
    batch, steps = values.shape[:2]
    step = torch.arange(steps, device=values.device)
    within = torch.where(step < lengths[:, None], lengths[:, None] - 1 - step, step)
    row = torch.arange(batch, device=values.device)[:, None] * steps
    reversed_: Tensor = _Permute.apply(values, (row + within).flatten())  # type: ignore[no-untyped-call]
    return reversed_


class _Permute(torch.autograd.Function):
    """Reorder the B * T steps by a permutation that is its own inverse.

    Autograd's own backward of an index is a scatter-add, which is many times slower.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return values.flatten(0, 1).index_select(0, index).view(values.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        flat = gradient.reshape(-1, *gradient.shape[2:])
        return flat.index_select(0, index).view(gradient.shape), None


def last(values: Tensor, lengths: Tensor) -> Tensor:
    """Return (B, F), each row's value (B, T, F) at its last real step."""
    rows = torch.arange(values.shape[0], device=values.device)
    return values[rows, lengths - 1]


def read_out(model: object, outputs: Tensor, lengths: Tensor, state: State) -> Tensor:
    """Return (B, output_size), what a model has read by the end of each row.

    For a causal model that is its last output. A model that reads both ways ends at both ends, and
    says itself how (``readout``).
    """
    readout = getattr(model, "readout", None)
    if readout is not None:
        answer: Tensor = readout(state)
        return answer
    return last(outputs, lengths)


def pool(model: object, outputs: Tensor, lengths: Tensor, state: State, how: str) -> Tensor:
    """Reduce outputs (B, T, F) to (B, F), or to (B, 3 F) for ``last+mean+max``.

    Args:
        model: The model that gave outputs and state.
        outputs: Zero at padding, as every model's are.
        lengths: (B,).
        state: The state that came with the outputs.
        how: ``last``, ``mean``, ``max``, or some of them joined by ``+``.
    """
    parts = []
    for name in how.split("+"):
        if name == "last":
            parts.append(read_out(model, outputs, lengths, state))
        elif name == "mean":
            parts.append(outputs.sum(1) / lengths[:, None])
        else:
            padding = ~real(lengths, outputs.shape[1])[..., None]
            parts.append(outputs.masked_fill(padding, -torch.inf).amax(1))
    return torch.cat(parts, dim=1)


def project(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``inputs @ weight.T + bias``, where inputs may be indices of one-hot vectors.

    Args:
        inputs: (B, T, I) numbers, or (B, T) indices below I, which stand for one-hot vectors and
            are looked up, so that no (B, T, I) tensor is built.
        weight: (O, I).
        bias: (O,).
    """
    if not inputs.is_floating_point():
        columns = F.embedding(inputs, weight.t())
        return columns if bias is None else columns + bias
    many = inputs.dim() == 3 and inputs.numel() * len(weight) >= _MANY
    if not many or inputs.device.type != "cpu" or inputs.dtype != torch.float32:
        return F.linear(inputs, weight, bias)
    # As a convolution over single steps torch leaves it to oneDNN, which takes half as long as MKL,
    # at least on AMD.
    image = inputs[:, :, None].permute(0, 3, 1, 2)
    return F.conv2d(image, weight[:, :, None, None], bias).permute(0, 2, 3, 1)[:, :, 0]


class Linear(nn.Linear):
    """``nn.Linear``, by :func:`project`: large products over all steps (B, T, I) are faster."""

    def forward(self, inputs: Tensor) -> Tensor:
        return project(inputs, self.weight, self.bias)
