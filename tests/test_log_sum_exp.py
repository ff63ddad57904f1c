"""The log-sum-exp of logits by blocks of rows, against torch's of all logits at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zoo_lm.log_sum_exp import log_sum_exp

ROWS, COLUMNS, SIZE = 700, 40, 12


def inputs(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((ROWS, SIZE), (COLUMNS, SIZE), (COLUMNS,))
    features, weight, bias = (torch.randn(s, generator=generator, dtype=dtype) for s in shapes)
    left_out = torch.randint(-COLUMNS, COLUMNS, (ROWS,), generator=generator).clamp_min(-1)
    return features.requires_grad_(), weight.requires_grad_(), bias.requires_grad_(), left_out


def dense(features: Tensor, weight: Tensor, bias: Tensor, left_out: Tensor) -> Tensor:
    logits = features @ weight.T + bias
    return logits.masked_fill(left_out[:, None] == torch.arange(COLUMNS), -torch.inf).logsumexp(1)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_values_and_gradients_are_those_of_all_logits_at_once(
    dtype: torch.dtype, bound: float
) -> None:
    features, weight, bias, left_out = inputs(dtype)
    slopes = torch.linspace(-1, 2, ROWS, dtype=dtype)
    found = log_sum_exp(features, weight, bias, left_out)
    wanted = dense(features, weight, bias, left_out)
    torch.testing.assert_close(found, wanted, rtol=bound, atol=bound)
    gradients = torch.autograd.grad((slopes * found).sum(), (features, weight, bias))
    expected = torch.autograd.grad((slopes * wanted).sum(), (features, weight, bias))
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=bound, atol=bound * ROWS)


def test_in_mixed_precision_products_alone_are_rounded() -> None:
    features, weight, bias, left_out = inputs(torch.float32)
    wanted = dense(features, weight, bias, left_out)
    with torch.autocast("cpu", torch.bfloat16):
        found = log_sum_exp(features, weight, bias, left_out)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.1)
    gradients = torch.autograd.grad(found.sum(), (features, weight, bias))
    expected = torch.autograd.grad(wanted.sum(), (features, weight, bias))
    for one, other in zip(gradients, expected, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.02 * other.norm()


def test_a_row_without_columns_is_minus_infinity_and_has_no_gradient() -> None:
    features, weight = torch.ones(2, 3, requires_grad=True), torch.ones(1, 3, requires_grad=True)
    found = log_sum_exp(features, weight, torch.zeros(1), torch.tensor([0, -1]))
    assert found.tolist() == [-torch.inf, 3]
    of_features, of_weight = torch.autograd.grad(found.sum(), (features, weight))
    assert of_features.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert of_weight.tolist() == [[1, 1, 1]]
