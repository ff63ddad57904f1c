"""Checks of a model in training: gradients, learning, penalty, parameter groups."""

from __future__ import annotations

import copy
import inspect
import math

import torch
from torch import Tensor, nn

from zoo.checks.model_case import (
    RAGGED,
    ModelCase,
    detached,
    fit,
    loss,
    perturb,
    run,
    training,
)
from zoo.checks.result import CheckError, CheckSkipped
from zoo.installed import registry
from zoo.interfaces import HasParameterGroups, HasPenalty, State
from zoo.options import options_of
from zoo.records import OptimizerInfo


def check_graph(case: ModelCase) -> None:
    """Each forward pass has a graph of its own, also where it continues a detached state."""
    model = case.build()
    _, state = run(model, case.inputs())
    with training(model):
        _expect_steps(model, case, detached(state) if case.info.causal else None,
                      "a second backward pass failed")  # fmt: skip


def check_trains_after_evaluation(case: ModelCase) -> None:
    """A model is trained on after an evaluation, which runs under torch.inference_mode."""
    model = case.build()
    try:
        with torch.inference_mode():
            run(model, case.inputs(), RAGGED)
    except RuntimeError as error:
        raise CheckError(f"it fails under torch.inference_mode ({_last_line(error)})") from error
    with training(model):
        _expect_steps(model, case, None, "a backward pass failed after an evaluation")


def _last_line(error: RuntimeError) -> str:
    return str(error).strip().splitlines()[-1]


def _expect_steps(model: nn.Module, case: ModelCase, state: State | None, found: str) -> None:
    """Fail unless backward passes go through one after another."""
    try:
        first = loss(model, case.inputs())
        if first.requires_grad:
            first.backward()
        for _ in range(2):
            outputs, _ = run(model, case.inputs(seed=7), state=state)
            if outputs.requires_grad:
                outputs.square().sum().backward()
    except RuntimeError as error:
        raise CheckError(
            f"{found} ({_last_line(error)})",
            "keep no tensor of a call for the next one",
        ) from error


def check_gradients(case: ModelCase) -> None:
    """Gradients reach every parameter and are finite."""
    model = case.build()
    missing = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for seed in range(3):
        perturb(model, seed)
        model.zero_grad()
        with training(model):
            # Long enough for units that are updated every few steps.
            total = loss(model, case.inputs(steps=24, seed=seed))
        if not total.requires_grad:
            raise CheckError("outputs have no gradient", "do not detach them")
        total.backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is None:
                continue
            if not torch.isfinite(parameter.grad).all():
                raise CheckError(f"the gradient of {name} is not finite")
            if parameter.grad.abs().sum():
                missing.pop(name, None)
        if not missing:
            return
    raise CheckError(
        f"no gradient reaches {next(iter(missing))}", "use it, remove it, or make it a buffer"
    )


def check_learns(case: ModelCase) -> None:
    """The loss falls on a problem of two steps that needs memory."""
    enough, least = 0.75 * math.log(2), float("inf")
    for seed, rate in ((1, 0.02), (2, 0.005)):
        least = min(least, fit(case.build(seed=seed), 80, rate, enough))
        if least < enough:
            return
    raise CheckError(
        f"the loss stays at {least:.3f}; {math.log(2):.3f} is that of guessing",
        "the output at a step has to depend on the steps before it",
    )


def check_penalty(case: ModelCase) -> None:
    """A penalty is a finite scalar of the batch just computed, with a gradient."""
    model = case.build()
    if not isinstance(model, HasPenalty):
        raise CheckSkipped("it has no penalty")
    with training(model):
        for seed in range(3):
            outputs, _ = run(model, case.inputs(seed=seed))
            penalty = model.penalty()
            if not isinstance(penalty, Tensor) or penalty.numel() != 1 or not penalty.isfinite():
                raise CheckError(f"penalty() returned {penalty!r}", "return a scalar tensor")
            if not penalty.requires_grad and penalty:
                raise CheckError("the penalty has no gradient", "do not detach it")
            total = outputs.sum() + penalty
            try:
                if total.requires_grad:
                    total.backward()
            except RuntimeError as error:
                raise CheckError(
                    f"the penalty of batch {seed + 1} has no gradient ({error})",
                    "compute it from the last batch alone",
                ) from error


def check_parameter_groups(case: ModelCase) -> None:
    """Parameter groups have the model's own parameters, each once, and settings that are read."""
    model = case.build()
    if not isinstance(model, HasParameterGroups):
        raise CheckSkipped("it has no parameter groups")
    # A copy has groups of its own parameters, not of those of the original.
    for made in (model, copy.deepcopy(model)):
        groups = list(made.parameter_groups())
        own = {id(parameter) for parameter in made.parameters()}
        named = [id(parameter) for group in groups for parameter in group["params"]]
        if len(named) != len(set(named)) or not own >= set(named):
            raise CheckError("parameter_groups() names a parameter twice, or a foreign one",
                              "make the groups in each call")  # fmt: skip
    for group in groups:
        if unread := sorted({*group} - _settings_of_groups()):
            raise CheckError(f"a group has {unread[0]!r}, which no optimizer reads",
                              "'lr_scale' multiplies the learning rate")  # fmt: skip


def _settings_of_groups() -> set[str]:
    """Return what a parameter group may have: what optimizers take, but ``lr`` as ``lr_scale``."""
    found = {"params", "lr_scale"}
    for value in vars(torch.optim).values():
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer):
            found |= {*inspect.signature(value).parameters}
    for info in registry().all(OptimizerInfo):
        found |= {*options_of(info.options)}
    return found - {"lr"}
