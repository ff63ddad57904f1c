"""Exact operations on padded batches, against loops over rows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from zoo.layers import _MANY, Linear, last, pool, project, read_out, real, reverse

LENGTHS = torch.tensor([4, 1, 6, 3])


def values(features: int = 3) -> Tensor:
    torch.manual_seed(2)
    return torch.randn(len(LENGTHS), 6, features, dtype=torch.float64)


def test_real_marks_the_steps_of_each_row() -> None:
    assert real(LENGTHS, 6).sum(1).tolist() == LENGTHS.tolist()
    assert real(LENGTHS, 6)[3].tolist() == [True, True, True, False, False, False]


def test_reverse_turns_each_row_within_its_length() -> None:
    given = values()
    turned = reverse(given, LENGTHS)
    for row, length in enumerate(LENGTHS):
        assert torch.equal(turned[row, :length], given[row, :length].flip(0))
        assert torch.equal(turned[row, length:], given[row, length:])
    assert torch.equal(reverse(turned, LENGTHS), given)


def test_reverse_takes_indices_too() -> None:
    given = torch.arange(24).view(4, 6)
    assert reverse(given, LENGTHS)[0].tolist() == [3, 2, 1, 0, 4, 5]


def test_the_gradient_of_reverse_is_right() -> None:
    given = values().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: reverse(v, LENGTHS), (given,))
    (reverse(given, LENGTHS)[0, 0] * 7).sum().backward()
    assert given.grad is not None
    assert (given.grad[0, 3] == 7).all()
    assert given.grad.sum() == 7 * 3


def test_last_takes_the_last_real_step() -> None:
    given = values()
    expected = torch.stack([given[row, length - 1] for row, length in enumerate(LENGTHS)])
    assert torch.equal(last(given, LENGTHS), expected)


class ReadsBothWays:
    def readout(self, state: tuple[Tensor, ...]) -> Tensor:
        return state[0][0] * 2


def test_a_model_that_reads_both_ways_says_what_it_has_read() -> None:
    state = (torch.ones(1, len(LENGTHS), 3),)
    assert (read_out(ReadsBothWays(), values(), LENGTHS, state) == 2).all()
    assert torch.equal(read_out(object(), values(), LENGTHS, state), last(values(), LENGTHS))


@pytest.mark.parametrize("how", ["last", "mean", "max", "last+mean+max"])
def test_pooling_is_what_a_loop_over_rows_gives(how: str) -> None:
    # All values are negative, so that a zero at padding would win a maximum.
    given = values().abs().neg().masked_fill(~real(LENGTHS, 6)[..., None], 0.0)
    rows = [given[row, :length] for row, length in enumerate(LENGTHS)]
    by_name = {
        "last": torch.stack([row[-1] for row in rows]),
        "mean": torch.stack([row.mean(0) for row in rows]),
        "max": torch.stack([row.amax(0) for row in rows]),
    }
    expected = torch.cat([by_name[name] for name in how.split("+")], dim=1)
    torch.testing.assert_close(pool(object(), given, LENGTHS, (), how), expected)


def test_pooling_sends_no_gradient_into_padding() -> None:
    given = values().masked_fill(~real(LENGTHS, 6)[..., None], 0.0).requires_grad_()
    for how in ("last", "max"):
        (gradient,) = torch.autograd.grad(pool(object(), given, LENGTHS, (), how).sum(), given)
        assert (gradient[~real(LENGTHS, 6)] == 0).all()
        assert gradient.sum() == pytest.approx(len(LENGTHS) * 3)


@pytest.mark.parametrize("bias", [torch.arange(30.0), None])
def test_projecting_many_steps_is_the_product_that_few_are(bias: Tensor | None) -> None:
    torch.manual_seed(3)
    values = torch.randn(40, 50, 200, requires_grad=True)
    weight = torch.randn(30, 200, requires_grad=True)
    assert values.numel() * len(weight) > _MANY > values[:1].numel() * len(weight)
    found, expected = project(values, weight, bias), values.double() @ weight.double().t()
    expected = expected if bias is None else expected + bias
    torch.testing.assert_close(found, expected.float(), rtol=0, atol=1e-4)
    slope = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, (values, weight), slope),
        torch.autograd.grad(expected, (values, weight), slope.double()),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)


def test_a_linear_layer_takes_rows_of_any_shape() -> None:
    torch.manual_seed(3)
    layer, plain = Linear(200, 30), nn.Linear(200, 30)
    plain.load_state_dict(layer.state_dict())
    for shape in ((200,), (2000, 200), (40, 50, 200), (4, 10, 50, 200)):
        values = torch.randn(shape)
        torch.testing.assert_close(layer(values), plain(values), rtol=0, atol=1e-5)


def test_project_looks_up_what_one_hot_vectors_would_multiply() -> None:
    torch.manual_seed(3)
    weight = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(5, dtype=torch.float64)
    indices = torch.randint(7, (2, 9))
    vectors = one_hot(indices, 7).double()
    looked_up, multiplied = project(indices, weight, bias), project(vectors, weight, bias)
    torch.testing.assert_close(multiplied, vectors @ weight.t() + bias)
    torch.testing.assert_close(looked_up, multiplied)
    (ours,) = torch.autograd.grad((looked_up**2).sum(), weight)
    (theirs,) = torch.autograd.grad((multiplied**2).sum(), weight)
    torch.testing.assert_close(ours, theirs)
