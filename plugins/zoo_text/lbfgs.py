"""Sparse linear models with an L2 penalty, fitted by L-BFGS."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Inverse strength of the L2 penalty, as scikit-learn's C.
C = 10.0
ITERATIONS, CHECK_EVERY = 60, 5
# The search ends when so many iterations lower the loss by less than this share.
TOLERANCE = 1e-2


@contextmanager
def computing_with(threads: int) -> Iterator[int]:
    """Compute with so many threads of torch; yield how many there were before.

    Sums of one thread have the same bits on every machine of a kind, since their order depends on
    the number of threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def minimise(
    features: csr_array, loss: Callable[[Tensor], Tensor], weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Minimise ``loss + |W|^2 / (2 C)`` over weights (F, K) and bias (K,).

    The result has the same bits, however many threads there are: they share the rows of the sparse
    products, and everything else is computed by one.

    Args:
        features: (M, F), float32.
        loss: From outputs (M, K) to the sum of losses.
        weight: (F, K) where the weights start.
        bias: (K,) where the bias starts.
    """
    matrix, transposed = _tensor(features), _tensor(features.T.tocsr())
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=CHECK_EVERY, history_size=8, line_search_fn="strong_wolfe",
        tolerance_change=1e-9,
    )  # fmt: skip
    # Where it was computed last, and what: each call of step() begins where the last one ended.
    at: tuple[Tensor, Tensor] | None = None
    value = torch.tensor(math.nan)

    def closure() -> Tensor:
        nonlocal at, value
        with torch.no_grad():
            if at is not None and torch.equal(weight, at[0]) and torch.equal(bias, at[1]):
                return value
            at = weight.clone(), bias.clone()
            with computing_with(threads):
                product = matrix @ weight
            outputs = (product + bias).requires_grad_()
        total = loss(outputs)
        # Written out: torch's own gradient of a sparse product is slower.
        (gradient,) = torch.autograd.grad(total, outputs)
        with torch.no_grad():
            with computing_with(threads):
                product = transposed @ gradient
            weight.grad = product + weight / C
            bias.grad = gradient.sum(0)
            value = total.detach() + weight.square().sum() / (2 * C)
            return value

    before = math.inf
    with computing_with(1) as threads:
        for _ in range(0, ITERATIONS, CHECK_EVERY):
            now = float(optimizer.step(closure))  # At the start of these iterations.
            if before - now < TOLERANCE * now:
                break
            before = now
    return weight.detach(), bias.detach()


def compressed(rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> csr_array:
    """Return a sparse matrix in compressed rows.

    Args:
        rows: (N,) row of each value.
        columns: (N,) column of each.
        values: (N,), float32.
        shape: Rows and columns of the matrix.
    """
    from scipy.sparse import csr_array

    if bool((rows[1:] < rows[:-1]).any()):
        order = rows.argsort(stable=True)
        rows, columns, values = rows[order], columns[order], values[order]
    starts = torch.searchsorted(rows.contiguous(), torch.arange(shape[0] + 1))
    # 32-bit indices: MKL would convert others for every product.
    parts = (values.numpy(), columns.int().numpy(), starts.int().numpy())
    return csr_array(parts, shape=shape)


def _tensor(matrix: csr_array) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr), torch.from_numpy(matrix.indices),
            torch.from_numpy(matrix.data), matrix.shape, check_invariants=False,
        )  # fmt: skip
