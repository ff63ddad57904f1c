"""Parameters of a network: groups for the optimizer, clipping of gradients, moving averages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from zoo.engine.parameters import averaged_copy, clip_gradients, parameter_groups
from zoo.spec import TrainingOptions


class Grouped(nn.Module):
    """Two parameters under settings of their own, and one under those of the run."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = nn.Parameter(torch.zeros(2))
        self.decayed = nn.Parameter(torch.zeros(3))
        self.plain = nn.Parameter(torch.zeros(4))

    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        return [
            {"params": iter([self.slow]), "lr_scale": 0.1},
            {"params": [self.decayed], "weight_decay": 0.5},
        ]


def described(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return groups with the number of elements of each parameter in place of the parameters."""
    return [{**group, "params": [p.numel() for p in group["params"]]} for group in groups]


def test_a_network_is_one_group() -> None:
    groups = parameter_groups(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5)), 0.1)
    assert described(groups) == [{"params": [12, 4, 20, 5]}]


def test_modules_have_groups_of_their_own_after_the_first() -> None:
    groups = parameter_groups(nn.Sequential(nn.Linear(3, 4), Grouped()), 0.1)
    assert described(groups) == [
        {"params": [12, 4, 4]},
        {"params": [2], "lr": pytest.approx(0.01)},
        {"params": [3], "lr": 0.1, "weight_decay": 0.5},
    ]


def test_parameters_that_are_not_trained_are_in_no_group() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    module[0].weight.requires_grad_(False)
    assert described(parameter_groups(module, 0.1)) == [{"params": [4, 20, 5]}]
    grouped = Grouped()
    grouped.plain.requires_grad_(False)
    assert [group["params"] for group in described(parameter_groups(grouped, 0.1))] == [[2], [3]]


def test_a_tied_parameter_is_in_a_group_once() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    assert described(parameter_groups(module, 0.1)) == [{"params": [9, 3, 3]}]


GRADIENTS = [np.array([3.0, -0.5]), np.array([[4.0], [0.1]])]


def clipped(**settings: Any) -> list[npt.NDArray[np.float32]]:
    module = nn.ParameterList([torch.zeros(g.shape) for g in GRADIENTS])
    for parameter, gradient in zip(module.parameters(), GRADIENTS, strict=True):
        parameter.grad = torch.from_numpy(gradient).float()
    clip_gradients(module, TrainingOptions(**settings))
    found = [parameter.grad for parameter in module.parameters()]
    return [gradient.numpy() for gradient in found if gradient is not None]


def test_clipping_by_norm_scales_the_whole_gradient() -> None:
    norm = math.sqrt(sum(float((g**2).sum()) for g in GRADIENTS))
    for found, given in zip(clipped(clip_norm=2.0), GRADIENTS, strict=True):
        np.testing.assert_allclose(found, given * 2.0 / norm, rtol=1e-5)
    for found, given in zip(clipped(clip_norm=norm + 1), GRADIENTS, strict=True):
        np.testing.assert_allclose(found, given, rtol=1e-6)


def test_clipping_by_value_limits_each_element() -> None:
    for found, given in zip(clipped(clip_value=0.4), GRADIENTS, strict=True):
        np.testing.assert_allclose(found, np.clip(given, -0.4, 0.4), rtol=1e-6)


def test_nothing_is_clipped_by_default() -> None:
    for found, given in zip(clipped(), GRADIENTS, strict=True):
        np.testing.assert_allclose(found, given, rtol=1e-6)


def test_a_complex_gradient_is_clipped_in_both_parts_and_by_its_absolute_values() -> None:
    module = nn.ParameterList([torch.zeros(2, dtype=torch.complex64), torch.zeros(1)])
    complex_, real = module.parameters()

    def clip(**settings: Any) -> tuple[list[complex], list[float]]:
        complex_.grad, real.grad = torch.tensor([3 + 4j, -0.2 - 9j]), torch.tensor([12.0])
        clip_gradients(module, TrainingOptions(**settings))
        return complex_.grad.tolist(), real.grad.tolist()

    assert clip(clip_value=2.0)[0] == pytest.approx([2 + 2j, -0.2 - 2j])
    norm = math.sqrt(3**2 + 4**2 + 0.2**2 + 9**2 + 12**2)
    found, others = clip(clip_norm=1.0)
    assert found == pytest.approx([(3 + 4j) / norm, (-0.2 - 9j) / norm], rel=1e-4)
    assert others == pytest.approx([12 / norm], rel=1e-4)


class Counted(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, dtype=dtype))
        self.count: torch.Tensor
        self.register_buffer("count", torch.zeros(()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_a_moving_average_follows_parameters_and_copies_buffers(dtype: torch.dtype) -> None:
    module = Counted(dtype)
    averaged = averaged_copy(module, 0.75)
    assert averaged is not None
    assert averaged_copy(module, 0.0) is None
    expected = None
    for step in range(1, 4):
        with torch.no_grad():
            module.weight.fill_(step * (1 + 2j) if dtype.is_complex else step)
            module.count.fill_(step)
        averaged.update_parameters(module)
        now = module.weight.detach()
        expected = now.clone() if expected is None else 0.75 * expected + 0.25 * now
    copy = averaged.module
    assert isinstance(copy, Counted)
    torch.testing.assert_close(copy.weight.detach(), expected)
    assert copy.count == 3
