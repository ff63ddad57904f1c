"""Integrated gradients: what each step of a sequence of vectors adds to a score.

Source: M. Sundararajan, A. Taly, Q. Yan, Axiomatic Attribution for Deep Networks (ICML 2017),
arXiv:1703.01365.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

MAX_STEPS, MAX_NUMBERS = 1 << 15, 1 << 23
"""Steps of a batch of points on paths, padding included, and numbers in their vectors."""

Score = Callable[[Tensor, Tensor], Tensor]
"""From vectors (N, T, E) and the row that each of them is a point of (N,) to scores (N,)."""


def integrated_gradients(score: Score, inputs: Tensor, baseline: Tensor, nodes: int) -> Tensor:
    """Return what each step adds to a score, going from a baseline to the inputs.

    It is ``(inputs - baseline) * integral of the gradient`` over the straight line between the
    two, summed over the elements of a vector. The integral is computed by Gauss-Legendre
    quadrature. The sum over the steps is ``score(inputs) - score(baseline)``, up to its error.

    Args:
        score: Differentiable; the score of a row depends on that row alone.
        inputs: (B, T, E).
        baseline: (B, T, E), equal to the inputs at padding.
        nodes: Points on each line.

    Returns:
        (B, T), in double precision.
    """
    positions, weights = np.polynomial.legendre.leggauss(nodes)
    alphas = torch.from_numpy((positions + 1) / 2).to(inputs)
    parts = torch.from_numpy(weights / 2).to(inputs)
    difference = inputs - baseline
    integral = torch.zeros_like(inputs)
    pairs = torch.arange(len(inputs) * nodes, device=inputs.device)
    for chunk in pairs.split(rows_at_once(*inputs.shape[1:])):
        row, node = chunk // nodes, chunk % nodes
        points = baseline[row] + alphas[node, None, None] * difference[row]
        points.requires_grad_()
        (gradient,) = torch.autograd.grad(score(points, row).sum(), points)
        integral.index_add_(0, row, gradient * parts[node, None, None])
    return (difference * integral).double().sum(2)


def rows_at_once(steps: int, size: int) -> int:
    """Return how many rows of so many steps of vectors of a size are computed at once."""
    return max(1, min(MAX_STEPS // steps, MAX_NUMBERS // (steps * size)))
