"""The plugin of optimizers and schedules, against formulas and against torch's plain optimizers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_sentiment import PLAIN
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

import zoo
from zoo import installed
from zoo.building import build
from zoo.engine.parameters import parameter_groups
from zoo.records import OptimizerInfo, SchedulerInfo
from zoo.spec import Component

POINTS = [0.0, 0.1, 0.25, 0.3, 0.5, 0.8, 0.999]
STEPS = 1000


def component(kind: Any, name: str, **options: Any) -> Component[Any]:
    info = installed.registry().get(kind, name)
    return Component(info, info.options(**options))


def optimizer(
    module: nn.Module, name: str, learning_rate: float, **options: Any
) -> torch.optim.Optimizer:
    chosen = component(OptimizerInfo, name, **options)
    made = build(chosen, parameter_groups(module, learning_rate), learning_rate)
    assert isinstance(made, torch.optim.Optimizer)
    return made


def scheduler(steps: int, name: str, **options: Any) -> tuple[torch.optim.Optimizer, Any]:
    """Return a schedule of a learning rate of 1, and its optimizer."""
    plain = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    return plain, build(component(SchedulerInfo, name, **options), plain, steps)


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
    plain, made = scheduler(STEPS, schedule, warmup=warmup)
    assert isinstance(made, LRScheduler)
    rates = []
    for _ in range(STEPS + 5):
        rates.append(plain.param_groups[0]["lr"])
        plain.step()
        made.step()
    found = [rates[round(p * STEPS)] for p in POINTS]
    assert found == pytest.approx([formula(p) for p in POINTS], abs=1e-12)
    # After the announced number of steps it stays where it ended.
    assert rates[STEPS:] == pytest.approx([formula(1.0)] * 5, abs=1e-12)


def test_one_cycle_is_that_of_torch() -> None:
    steps = 3000
    plain, made = scheduler(steps, "one-cycle")
    theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.OneCycleLR(theirs, max_lr=1.0, total_steps=steps)
    for step in range(steps):
        if step % 250 == 0:  # A phase begins a step earlier there.
            (expected,) = torchs.get_last_lr()
            assert plain.param_groups[0]["lr"] == pytest.approx(expected, abs=2e-3)
        for stepped in (plain, made, theirs, torchs):
            stepped.step()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]),
        ({"factor": 0.1}, [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001]),
        ({"tolerance": 2}, [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5]),
    ],
)
def test_plateau_lowers_the_rate_after_evaluations_without_improvement(
    options: dict[str, Any], expected: list[float]
) -> None:
    plain, made = scheduler(STEPS, "plateau", **options)
    assert isinstance(made, ReduceLROnPlateau)
    loss, rates = 1.0, []
    for improved in (True, False, True, False, False, False, False, True, False, False):
        loss -= improved * 0.01
        made.step(loss + 0.5 * (not improved))
        rates.append(plain.param_groups[0]["lr"])
    assert rates == pytest.approx(expected)


def network() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


@pytest.mark.parametrize(
    ("name", "options", "make"),
    [
        (
            "adam",
            {"beta2": 0.98, "weight_decay": 0.02},
            lambda p: torch.optim.Adam(p, 0.01, betas=(0.9, 0.98), weight_decay=0.02, fused=False),
        ),
        (
            "adamw",
            {"weight_decay": 0.1},
            lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1, fused=False),
        ),
        (
            "sgd",
            {"momentum": 0.9, "weight_decay": 0.05},
            lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, weight_decay=0.05, fused=False),
        ),
    ],
)
def test_steps_are_those_of_the_plain_optimizers_of_torch(
    name: str, options: dict[str, Any], make: Callable[..., torch.optim.Optimizer]
) -> None:
    ours, theirs = network(), network()
    pairs = [(ours, optimizer(ours, name, 0.01, **options)), (theirs, make(theirs.parameters()))]
    inputs = torch.randn(8, 3)
    for _ in range(5):
        for module, chosen in pairs:
            chosen.zero_grad()
            (module(inputs) ** 2).mean().backward()
            chosen.step()
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
    chosen = optimizer(holder, "adam", 0.1, beta2=0.99)
    value, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    for step in range(1, 4):
        gradient = 2 * value + step
        parameter.grad = torch.from_numpy(gradient).float()
        chosen.step()
        m, v = 0.9 * m + 0.1 * gradient, 0.99 * v + 0.01 * gradient**2
        value = value - 0.1 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-8)
    np.testing.assert_allclose(parameter.detach().numpy(), value, atol=1e-5)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_the_fused_step_is_used_where_torch_has_one(name: str) -> None:
    assert optimizer(network(), name, 0.1).param_groups[0]["fused"]
    module = network()
    module.frequencies = nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    assert not optimizer(module, name, 0.1).param_groups[0]["fused"]


def rates(run: zoo.Run) -> list[float]:
    lines = map(json.loads, (run.path / "metrics.jsonl").read_text().splitlines())
    return [line["learning_rate"] for line in lines if line["kind"] == "train"]


@pytest.mark.parametrize("length", [("steps=10",), ("epochs=1", "batch_size=384")])
def test_training_follows_the_schedule(
    length: tuple[str, ...], train_here: Callable[..., zoo.Run], tmp_path: Path
) -> None:
    run = train_here(
        "sentiment/rnn", tmp_path / "run", *PLAIN, "schedule=one-cycle", "learning_rate=0.002",
        "log_every=1", "hidden_size=2", *length,
    )  # fmt: skip
    found = rates(run)
    expected = [0.002 * one_cycle(step / len(found)) for step in range(len(found))]
    assert len(found) == 10
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "step"),
    [("sentiment/rnn", "learning_rate=1e-12"), ("char-lm/rnn", "learning_rate=0.0")],
)
def test_training_lowers_the_rate_on_a_plateau(
    name: str, step: str, train_here: Callable[..., zoo.Run], text_file: Path, tmp_path: Path
) -> None:
    # Higher is better for the accuracy of sentiment, lower for the loss of char-lm. The learning
    # rate is so low that nothing ever improves.
    run = train_here(
        name, tmp_path / "run", "schedule=plateau", step, "log_every=1", "hidden_size=2",
        "steps=12", "evaluate_every=2", data=text_file if name.startswith("char-lm") else "",
    )  # fmt: skip
    # Evaluations after 2, 4, 6 ... steps; the first counts as an improvement.
    rate = float(step.partition("=")[2])
    expected = [rate] * 6 + [rate / 2] * 4 + [rate / 4] * 2
    assert rates(run) == pytest.approx(expected, rel=1e-9, abs=0)
