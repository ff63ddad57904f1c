"""Checks of a model's options: that their values work, and that each has an effect."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn

from zoo.checks.model_case import (
    RAGGED,
    ROWS,
    STEPS,
    ModelCase,
    difference,
    run,
    training,
)
from zoo.checks.result import CheckError
from zoo.interfaces import HasParameterGroups, HasPenalty, HasReadout
from zoo.options import Options, options_of
from zoo.values import Option, Value

# Greater bounds than this are not tried: a model of so many units would take too long.
GREATEST = 16
# Values of an option that are tried, beside other values of one or two further options; those that
# the options refuse do not count.
MOST_TRIED = 120


def check_option_values(case: ModelCase) -> None:
    """Choices, truth values, none, lists, and the least and the greatest value of options work."""
    for name, declared in options_of(case.info.options).items():
        for value in _declared_values(declared):
            options = _changed(case.options, {name: value})
            if options is not None:
                _expect_works(case, options, f"{name}={value}")


def _declared_values(declared: Option) -> Iterator[Any]:
    """Yield the values that a declaration names: choices and bounds, alone and in lists."""
    scalars: list[Any] = list(declared.choices)
    if declared.type is bool:
        scalars = [False, True]
    for bound in (declared.minimum, declared.maximum):
        if bound is not None and (declared.type is float or bound <= GREATEST):
            scalars.append(declared.type(bound))
    if declared.optional:
        yield None
    for value in scalars:
        if declared.many:
            yield (value,)
            yield (value,) * 3
        else:
            yield value


def _expect_works(case: ModelCase, options: Options, what: str) -> None:
    """Fail unless a model with these options is built and run in both modes."""
    before = asdict(options)
    try:
        model: Any = case.build(options=options)
        for mode in (False, True):
            model.train(mode)
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                outputs, _ = run(model, case.inputs(), RAGGED)
    except Exception as error:
        raise CheckError(f"{what} does not work ({type(error).__name__}: {error})",
                          "declare choices and bounds that work") from error  # fmt: skip
    if asdict(options) != before:
        raise CheckError(f"the model changes its options, where {what}",
                          "keep another value in an attribute")  # fmt: skip
    if outputs.shape != (ROWS, STEPS, model.output_size) or not outputs.numel():
        raise CheckError(f"with {what} outputs are {tuple(outputs.shape)}",
                          "declare choices and bounds that work")  # fmt: skip


def check_options(case: ModelCase) -> None:
    """Every option has an effect."""
    for name, declared in options_of(case.info.options).items():
        failures: list[str] = []
        if not _has_effect(case, name, declared, failures):
            why = f" ({failures[0]})" if failures else ""
            raise CheckError(f"option {name!r} changes nothing{why}", "use it, or remove it")


def _has_effect(case: ModelCase, name: str, declared: Option, failures: list[str]) -> bool:
    """Return whether a value of an option makes another model; collects what fails."""
    tried = 0
    for base in _bases(case, name):
        for value in _alternatives(declared, getattr(base, name)):
            changed = _changed(base, {name: value})
            if changed is None:
                continue
            tried += 1
            if tried > MOST_TRIED:
                return False
            try:
                if _differ(case, base, changed):
                    return True
            except Exception as error:  # noqa: BLE001 - what is checked may raise anything
                failures.append(f"{name}={value} raised {type(error).__name__}: {error}")
    return False


def _bases(case: ModelCase, name: str) -> Iterator[Options]:
    """Yield the options, and those with one or two others changed: an option may need another."""
    others = {
        other: _alternatives(declared, getattr(case.options, other))
        for other, declared in options_of(case.info.options).items() if other != name
    }  # fmt: skip
    yield case.options
    single = [{other: value} for other, values in others.items() for value in values]
    pairs = [a | b for a, b in itertools.combinations(single, 2) if a.keys() != b.keys()]
    for change in [*single, *pairs]:
        if (base := _changed(case.options, change)) is not None:
            yield base


def _changed(options: Options, change: dict[str, Any]) -> Options | None:
    """Return options with other values, or None where they are refused."""
    try:
        return replace(options, **change)
    except ValueError:
        return None


def _alternatives(declared: Option, value: Value) -> list[Any]:
    """Return some other values of an option."""
    candidates: list[Any]
    if declared.choices:
        candidates = list(declared.choices)
    elif declared.type is bool:
        candidates = [True, False]
    elif declared.type is str:
        candidates = ["", "other"]
    elif declared.type is int:
        at = value if isinstance(value, int) else 1
        candidates = [at + 1, 2 * at, at - 1, 2, 1]
    else:
        middle = value if isinstance(value, int | float) else 0.5
        candidates = [middle / 2, middle + 0.5, 0.25, 0.5, middle + 1, 2.0]
    if declared.many:
        length = len(value) if isinstance(value, tuple) else 1
        candidates = [(item,) * length for item in candidates] + [(candidates[0],) * (length + 1)]
    if declared.optional:
        candidates.append(None)
    found = []
    for candidate in candidates:
        try:
            checked = declared.check(candidate)
        except ValueError:
            continue
        if checked != value and checked not in found:
            found.append(checked)
    return found


def _differ(case: ModelCase, one: Options, other: Options) -> bool:
    """Return whether two sets of options make models that differ in anything that is visible."""
    models = [case.build(options=options) for options in (one, other)]
    # What is built says most: running both takes longer.
    return any(
        _are_others(*(visible(case, model) for model in models)) for visible in (_built, _computed)
    )


def _are_others(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() != other.keys() or any(_is_other(one[key], other[key]) for key in one)


def _is_other(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return difference(one, other) > 1e-9
    return bool(one != other)


def _built(case: ModelCase, model: nn.Module) -> dict[str, Any]:
    """Return what can be seen of a model before it runs: tensors, what is trained, groups."""
    found: dict[str, Any] = {
        f"tensor {name}": tensor.detach().clone() for name, tensor in model.state_dict().items()
    }
    for name, parameter in model.named_parameters():
        found[f"trained {name}"] = parameter.requires_grad
    if isinstance(model, HasParameterGroups):
        found["groups"] = [
            {k: v if k != "params" else [tuple(p.shape) for p in v] for k, v in group.items()}
            for group in model.parameter_groups()
        ]
    return found


def _computed(case: ModelCase, model: nn.Module) -> dict[str, Any]:
    """Return what a model computes: outputs in both modes, readout, gradients, penalty."""
    found: dict[str, Any] = {}
    inputs = case.inputs()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12)
        outputs, state = run(model, inputs, RAGGED)
        found["outputs"] = outputs
        found |= {f"state {number}": part for number, part in enumerate(state)}
        if isinstance(model, HasReadout):
            found["readout"] = model.readout(state)
        torch.manual_seed(12)
        with training(model):
            outputs, _ = run(model, inputs, RAGGED)
            found["outputs in training"] = outputs
            if isinstance(model, HasPenalty):
                found["penalty"] = model.penalty().detach()
            total = outputs.square().sum()
            if total.requires_grad:
                total.backward()
    found |= {
        f"gradient {name}": p.grad for name, p in model.named_parameters() if p.grad is not None
    }
    return found
