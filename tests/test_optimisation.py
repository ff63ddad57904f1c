"""How parameters move, against formulas and against torch's plain optimisers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zoo.config import Training
from zoo.engine.optimisation import Plateau, clip, optimiser, rate_factor

POINTS = [0.0, 0.1, 0.25, 0.3, 0.5, 0.8, 0.999]


def cosine(first: float, last: float, share: float) -> float:
    return first + (last - first) * (0.5 - 0.5 * math.cos(math.pi * share))


def one_cycle(p: float, rise: float = 0.3) -> float:
    if p < rise:
        return cosine(1 / 25, 1.0, p / rise)
    return cosine(1.0, 1 / 25 / 1e4, (p - rise) / (1 - rise))


@pytest.mark.parametrize(
    ("schedule", "warmup", "formula"),
    [
        ("constant", 0.0, lambda p: 1.0),
        ("constant", 0.25, lambda p: min(1.0, p / 0.25)),
        ("plateau", 0.0, lambda p: 1.0),
        ("linear", 0.0, lambda p: 1 - p),
        ("linear", 0.25, lambda p: p / 0.25 if p < 0.25 else (1 - p) / 0.75),
        ("cosine", 0.0, lambda p: cosine(1, 0, p)),
        ("cosine", 0.25, lambda p: p / 0.25 if p < 0.25 else cosine(1, 0, (p - 0.25) / 0.75)),
        ("one-cycle", 0.0, one_cycle),
        ("one-cycle", 0.1, lambda p: one_cycle(p, 0.1)),
    ],
)
def test_a_schedule_is_its_formula(
    schedule: str, warmup: float, formula: Callable[[float], float]
) -> None:
    training = Training(schedule=schedule, warmup=warmup)
    found = [rate_factor(training, p) for p in POINTS]
    assert found == pytest.approx([formula(p) for p in POINTS], abs=1e-12)


def test_one_cycle_is_torchs() -> None:
    plain = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    steps = 100_000  # So many that it hardly matters on which step a phase begins.
    theirs = torch.optim.lr_scheduler.OneCycleLR(plain, max_lr=1.0, total_steps=steps)
    training = Training(schedule="one-cycle")
    for step in range(0, 3000):
        if step % 500 == 0:
            assert rate_factor(training, step / steps) == pytest.approx(
                theirs.get_last_lr()[0], rel=1e-3
            )
        plain.step()
        theirs.step()


def network() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


@pytest.mark.parametrize(
    ("settings", "make"),
    [
        (
            {"optimizer": "adam", "beta2": 0.98, "weight_decay": 0.02},
            lambda p: torch.optim.Adam(p, 0.01, betas=(0.9, 0.98), weight_decay=0.02, fused=False),
        ),
        (
            {"optimizer": "adamw", "weight_decay": 0.1},
            lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1, fused=False),
        ),
        (
            {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.05},
            lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, weight_decay=0.05, fused=False),
        ),
    ],
)
def test_updates_are_those_of_torchs_plain_optimisers(
    settings: dict[str, Any], make: Callable[..., torch.optim.Optimizer]
) -> None:
    ours, theirs = network(), network()
    pairs = [
        (ours, optimiser(ours, Training(learning_rate=0.01, **settings))),
        (theirs, make(theirs.parameters())),
    ]
    inputs = torch.randn(8, 3)
    for _ in range(5):
        for module, update in pairs:
            update.zero_grad()
            (module(inputs) ** 2).mean().backward()
            update.step()
    fresh = network()
    for one, other, before in zip(
        ours.parameters(), theirs.parameters(), fresh.parameters(), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
        assert (one - before).abs().max() > 1e-3


def test_adam_is_its_formula() -> None:
    parameter = nn.Parameter(torch.tensor([1.0, -2.0]))
    holder = nn.Module()
    holder.weight = parameter
    update = optimiser(holder, Training(optimizer="adam", learning_rate=0.1, beta2=0.99))
    value, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    for step in range(1, 4):
        gradient = 2 * value + step
        parameter.grad = torch.from_numpy(gradient).float()
        update.step()
        m, v = 0.9 * m + 0.1 * gradient, 0.99 * v + 0.01 * gradient**2
        value = value - 0.1 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-8)
    np.testing.assert_allclose(parameter.detach().numpy(), value, atol=1e-5)


def test_parameters_that_are_not_trained_stay() -> None:
    module = network()
    module[0].weight.requires_grad_(False)
    before = module[0].weight.clone()
    update = optimiser(module, Training(optimizer="adamw", weight_decay=0.5))
    module(torch.ones(1, 3)).sum().backward()
    update.step()
    assert torch.equal(module[0].weight, before)


GRADIENTS = [np.array([3.0, -0.5]), np.array([[4.0], [0.1]])]


def clipped(**settings: float) -> list[np.ndarray]:
    parameters = [nn.Parameter(torch.zeros(g.shape)) for g in GRADIENTS]
    for parameter, gradient in zip(parameters, GRADIENTS, strict=True):
        parameter.grad = torch.from_numpy(gradient).float()
    clip(parameters, Training(**settings))
    return [parameter.grad.numpy() for parameter in parameters]


def test_clipping_by_norm_scales_the_whole_gradient() -> None:
    norm = math.sqrt(sum(float((g**2).sum()) for g in GRADIENTS))
    for found, given in zip(clipped(clip_norm=2.0), GRADIENTS, strict=True):
        np.testing.assert_allclose(found, given * 2.0 / norm, rtol=1e-5)
    for found, given in zip(clipped(clip_norm=norm + 1), GRADIENTS, strict=True):
        np.testing.assert_allclose(found, given, rtol=1e-6)


def test_clipping_by_value_limits_each_number() -> None:
    for found, given in zip(clipped(clip_value=0.4), GRADIENTS, strict=True):
        np.testing.assert_allclose(found, np.clip(given, -0.4, 0.4), rtol=1e-6)


def test_nothing_is_clipped_unless_asked() -> None:
    for found, given in zip(clipped(), GRADIENTS, strict=True):
        np.testing.assert_allclose(found, given, rtol=1e-6)


def test_a_plateau_halves_the_step_size_after_two_evaluations_in_vain() -> None:
    plateau = Plateau()
    factors = []
    for improved in (True, False, True, False, False, False, False, True, False, False):
        plateau.see(improved)
        factors.append(plateau.factor)
    assert factors == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]


def rates(run: Path) -> list[float]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line["learning_rate"] for line in lines if line["kind"] == "train"]


@pytest.mark.parametrize("length", [("steps=10",), ("epochs=1", "batch_size=384")])
def test_training_follows_the_schedule(
    length: tuple[str, ...], train_here: Callable[..., Any], tmp_path: Path
) -> None:
    train_here(
        "sentiment/rnn", tmp_path / "run", "schedule=one-cycle", "learning_rate=0.002",
        "log_every=1", "hidden_size=2", *length,
    )  # fmt: skip
    found = rates(tmp_path / "run")
    expected = [0.002 * one_cycle(step / len(found)) for step in range(len(found))]
    assert len(found) == 10
    assert found == pytest.approx(expected)


def test_training_halves_the_step_size_on_a_plateau(
    train_here: Callable[..., Any], tmp_path: Path
) -> None:
    # Steps so small that nothing ever improves.
    train_here(
        "sentiment/rnn", tmp_path / "run", "schedule=plateau", "learning_rate=1e-12",
        "log_every=1", "hidden_size=2", "steps=12", "evaluate_every=2",
    )  # fmt: skip
    # Evaluations after 2, 4, 6 ... steps; the first counts as an improvement.
    expected = [1e-12] * 6 + [5e-13] * 4 + [2.5e-13] * 2
    assert rates(tmp_path / "run") == pytest.approx(expected, rel=1e-9)
