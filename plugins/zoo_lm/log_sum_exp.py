"""The logarithm of a sum over logits, without the logits of all rows in memory at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from zoo.nn import linear

# Rows that are computed at once on a CPU: with 2,048 columns their logits take 2 MiB, and stay in
# its cache. On other devices all rows are computed at once.
_ROWS = 256


def log_sum_exp(features: Tensor, weight: Tensor, bias: Tensor, left_out: Tensor) -> Tensor:
    """Return ``log sum_j exp(features_i . weight_j + bias_j)`` (N,), a block of rows at a time.

    Backward computes the logits again, so that the (N, S) logits are never stored: several passes
    over memory are several passes over the cache. Under autocast products are in its dtype, and
    everything else in that of ``bias``. There is no second derivative.

    Args:
        features: (N, E).
        weight: (S, E).
        bias: (S,).
        left_out: (N,) the column that the sum of a row leaves out; -1: none.
    """
    device, dtype = features.device.type, weight.dtype
    if torch.is_autocast_enabled(device) and bias.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(device)
    features, weight = features.to(dtype), weight.to(dtype)
    with torch.autocast(device, enabled=False):
        result: Tensor = _LogSumExp.apply(  # type: ignore[no-untyped-call]
            features, weight, bias, left_out
        )
    return result


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, features: Tensor, weight: Tensor, bias: Tensor, left_out: Tensor
    ) -> Tensor:
        rows = _block(features)
        parts = [
            _logits(some, weight, bias, columns).logsumexp(1)
            for some, columns in zip(features.split(rows), left_out.split(rows), strict=True)
        ]
        result = torch.cat(parts)
        # A row that leaves out its only column has a sum of zero, and no gradients.
        finite = result.clamp_min(torch.finfo(result.dtype).min)
        context.save_for_backward(features, weight, bias, left_out, finite)
        return result

    @staticmethod
    @once_differentiable
    def backward(
        context: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        features, weight, bias, left_out, result = context.saved_tensors
        of_features = []
        of_weight = torch.zeros_like(weight, dtype=bias.dtype)
        of_bias = torch.zeros_like(bias)
        transposed = weight.T.contiguous()
        blocks = (x.split(_block(features)) for x in (features, left_out, result, gradient))
        for some, columns, sums, slopes in zip(*blocks, strict=True):
            # The derivative of a log-sum-exp is the softmax.
            share = _logits(some, weight, bias, columns).sub_(sums[:, None]).exp_()
            share.mul_(slopes[:, None])
            of_bias += share.sum(0)
            share = share.to(weight.dtype)
            of_features.append(_products(share, transposed))
            of_weight += share.T @ some
        return torch.cat(of_features), of_weight.to(weight.dtype), of_bias, None


def _block(features: Tensor) -> int:
    return _ROWS if features.device.type == "cpu" else max(1, len(features))


def _products(left: Tensor, right: Tensor) -> Tensor:
    """Return ``left @ right.T``."""
    return linear(left[None], right)[0]


def _logits(features: Tensor, weight: Tensor, bias: Tensor, left_out: Tensor) -> Tensor:
    logits = _products(features, weight).to(bias.dtype).add_(bias)
    column = left_out.clamp_min(0)[:, None]
    kept = logits.gather(1, column).masked_fill(left_out[:, None] >= 0, -torch.inf)
    return logits.scatter_(1, column, kept)
