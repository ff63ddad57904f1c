"""Checks of a model in training: gradients, seeds, what was learned, copies, options."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from zoo.building import build_model
from zoo.checks.model_case import (
    INPUT_SIZE,
    ModelCase,
    difference,
    expect_same,
    fit,
    loss,
    perturb,
    run,
    training,
)
from zoo.checks.model_forward import random_states
from zoo.checks.result import CheckError
from zoo.interfaces import HasParameterGroups, HasPenalty
from zoo.options import Options, options_of
from zoo.spec import Component
from zoo.values import Option, Value


def check_gradients(case: ModelCase) -> None:
    """Gradients reach every parameter and are finite."""
    reached: set[str] = set()
    model = case.build()
    for seed in range(3):
        perturb(model, seed)
        model.zero_grad()
        with training(model):
            total = loss(model, case.inputs(seed=seed))
            if not total.requires_grad:
                raise CheckError("outputs have no gradient", "do not detach them")
            total.backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is None:
                continue
            if not torch.isfinite(parameter.grad).all():
                raise CheckError(f"the gradient of {name} is not finite")
            if parameter.grad.abs().sum():
                reached.add(name)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if missing := [name for name in trained if name not in reached]:
        raise CheckError(
            f"no gradient reaches {missing[0]}", "use it, remove it, or make it a buffer"
        )


def check_seed(case: ModelCase) -> None:
    """Parameters are drawn from torch's generator alone, which goes on from where it was."""
    one, other = case.build(seed=1), case.build(seed=1)
    for (name, first), (_, second) in zip(
        one.state_dict().items(), other.state_dict().items(), strict=True
    ):
        if not torch.equal(first, second):
            raise CheckError(f"{name} differs between two models of the same seed",
                              "draw with torch, from its default generator")  # fmt: skip
    ends = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            build_model(Component(case.info, case.options), INPUT_SIZE)
            ends.append(torch.get_rng_state())
    if torch.equal(*ends):
        raise CheckError("the model seeds torch's generator", "leave torch.manual_seed out")


def check_training_seed(case: ModelCase) -> None:
    """In training mode whatever is drawn is drawn from torch's generator alone."""
    model = case.build()
    before = random_states()
    results = []
    with training(model), torch.random.fork_rng(devices=[]):
        for _ in range(2):
            torch.manual_seed(3)
            results.append(run(copy.deepcopy(model), case.inputs())[0].detach())
            ended = torch.get_rng_state()
            torch.manual_seed(4)
            run(copy.deepcopy(model), case.inputs())
            if torch.equal(ended, torch.get_rng_state()):
                raise CheckError("the model seeds torch's generator",
                                  "leave torch.manual_seed out")  # fmt: skip
    after = random_states()
    moved = [name for name in ("numpy", "random") if after[name] != before[name]]
    if moved or not torch.equal(*results):
        where = f"the global generator of {moved[0]}" if moved else "another generator"
        raise CheckError(f"training draws from {where}", "draw with torch's default generator")


def check_learned_state(case: ModelCase) -> None:
    """All that was learned is in parameters and buffers, and comes back with them."""
    model = case.build()
    fit(model, steps=4)
    with training(model):
        run(model, 3 * case.inputs(seed=11) + 1)
    with torch.no_grad():
        expected, _ = run(model, case.inputs())
    stored = safetensors.torch.save(_separate(model))
    tensors = safetensors.torch.load(stored)
    fresh = case.build(seed=2)
    for name, tensor in fresh.state_dict().items():
        if name in tensors and tensors[name].dtype != tensor.dtype:
            raise CheckError(f"{name} changes its dtype from {tensor.dtype} to "
                              f"{tensors[name].dtype} in training")  # fmt: skip
    try:
        fresh.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckError(
            f"the tensors of a trained model do not load ({str(error).splitlines()[-1].strip()})",
            "build all parameters and buffers in __init__, and persistent ones alone",
        ) from error
    with torch.no_grad():
        outputs, _ = run(fresh, case.inputs())
    expect_same(outputs, expected, "a trained model differs from one that loads its tensors",
                "register what is learned: nn.Parameter, or register_buffer")  # fmt: skip


def check_instances(case: ModelCase) -> None:
    """Training a model changes no other one: nothing is shared by instances."""
    other = case.build(seed=5)
    with torch.no_grad():
        before, _ = run(other, case.inputs())
    model = case.build(seed=6)
    fit(model, steps=4)
    with training(model):
        run(model, 3 * case.inputs(seed=11) + 1)
    fix = "keep nothing in the class or in the module"
    with torch.no_grad():
        expect_same(run(other, case.inputs())[0], before, "another model changed", fix)
        again, _ = run(case.build(seed=5), case.inputs())
    expect_same(again, before, "a model that is built later is another one", fix)


def _separate(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a model, none of which shares memory with another."""
    return {
        name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()
    }


def check_copies(case: ModelCase) -> None:
    """A model can be copied and pickled."""
    model = case.build()
    with torch.no_grad():
        expected, _ = run(model, case.inputs())
        try:
            copies = {"copy.deepcopy": copy.deepcopy(model),
                      "pickle": pickle.loads(pickle.dumps(model))}  # fmt: skip
        except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
            raise CheckError(
                f"it cannot be copied or pickled ({error})", "keep no lambda and no open file"
            ) from error
        for name, made in copies.items():
            expect_same(run(made, case.inputs())[0], expected, f"{name} gives another model")


def check_dtype(case: ModelCase) -> None:
    """A model moves to another dtype, as to another device, with its tensors."""
    model = case.build()
    with torch.no_grad():
        expected, _ = run(model, case.inputs())
        outputs, state = run(model.double(), case.inputs().double())
        if outputs.dtype != torch.float64 or any(part.dtype == torch.float32 for part in state):
            raise CheckError("model.double() computes in float32",
                              "make new tensors like inputs: inputs.new_zeros(...)")  # fmt: skip
        expect_same(outputs, expected, "float64 gives other outputs than float32")
        if torch.cuda.is_available():
            outputs, _ = run(case.build().cuda(), case.inputs().cuda(),
                             torch.full((4,), 6, device="cuda"))  # fmt: skip
            expect_same(outputs.cpu(), expected, "a GPU gives other outputs")


def check_learns(case: ModelCase) -> None:
    """The loss falls on a problem of two steps that needs memory."""
    least = min(fit(case.build(seed=seed), 80, rate) for seed, rate in ((1, 0.02), (2, 0.005)))
    if not least < 0.75 * math.log(2):
        raise CheckError(
            f"the loss stays at {least:.3f}; {math.log(2):.3f} is that of guessing",
            "the output at a step has to depend on the steps before it",
        )


def check_penalty(case: ModelCase) -> None:
    """A penalty is a finite scalar, and parameter groups have the model's own parameters once."""
    model = case.build()
    if isinstance(model, HasPenalty):
        with training(model):
            run(model, case.inputs())
            penalty = model.penalty()
        if not isinstance(penalty, Tensor) or penalty.numel() != 1 or not penalty.isfinite():
            raise CheckError(f"penalty() returned {penalty!r}", "return a scalar tensor")
    parameters = list(model.parameters())
    if isinstance(model, HasParameterGroups):
        own = {id(parameter) for parameter in parameters}
        named = [id(p) for group in model.parameter_groups() for p in group["params"]]
        if len(named) != len(set(named)) or not own >= set(named):
            raise CheckError("parameter_groups() names a parameter twice, or a foreign one")


# Options


def check_defaults(case: ModelCase) -> None:
    """The default of every option, and the least value that it declares, is accepted and runs."""
    for name, declared in options_of(case.info.options).items():
        if declared.minimum is None or declared.many:
            continue
        with_least = _changed(case.options, {name: declared.type(declared.minimum)})
        if with_least is None:
            continue
        try:
            model: Any = case.build(options=with_least)
            outputs, _ = run(model, case.inputs())
        except (RuntimeError, ValueError, ArithmeticError, LookupError, TypeError) as error:
            raise CheckError(f"{name}={declared.minimum:g} does not work ({error})",
                              "declare the least value that works") from error  # fmt: skip
        if not outputs.numel():
            raise CheckError(f"{name}={declared.minimum:g} makes a model without outputs",
                              "declare the least value that works")  # fmt: skip


def check_options(case: ModelCase) -> None:
    """Every option has an effect."""
    for name, declared in options_of(case.info.options).items():
        if not _has_effect(case, name, declared):
            raise CheckError(f"option {name!r} changes nothing", "use it, or remove it")


def _has_effect(case: ModelCase, name: str, declared: Option) -> bool:
    for base in _bases(case, name):
        for value in _alternatives(declared, getattr(base, name)):
            changed = _changed(base, {name: value})
            if changed is not None and _differ(case, base, changed):
                return True
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
    for change in [*single, *pairs][:60]:
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
    try:
        models = [case.build(options=options) for options in (one, other)]
        found = [_visible(case, model) for model in models]
    except (RuntimeError, ValueError, ArithmeticError, LookupError, TypeError):
        return False
    if found[0].keys() != found[1].keys():
        return True
    return any(_is_other(found[0][key], found[1][key]) for key in found[0])


def _is_other(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return difference(one, other) > 1e-9
    return bool(one != other)


def _visible(case: ModelCase, model: nn.Module) -> dict[str, Any]:
    """Return what can be seen of a model: tensors, outputs in both modes, penalty, groups."""
    found: dict[str, Any] = {
        f"tensor {n}": t.detach().clone() for n, t in model.state_dict().items()
    }
    inputs, lengths = case.inputs(), [6, 3, 1, 4]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12)
        outputs, state = run(model, inputs, lengths)
        found["outputs"] = outputs
        found |= {f"state {number}": part for number, part in enumerate(state)}
        torch.manual_seed(12)
        with training(model):
            outputs, _ = run(model, inputs, lengths)
            found["outputs in training"] = outputs
            if isinstance(model, HasPenalty):
                found["penalty"] = model.penalty().detach()
            total = outputs.square().sum()
            if total.requires_grad:
                total.backward()
        found |= {
            f"gradient {name}": p.grad for name, p in model.named_parameters() if p.grad is not None
        }
    for name, parameter in model.named_parameters():
        found[f"trained {name}"] = parameter.requires_grad
    if isinstance(model, HasParameterGroups):
        groups = model.parameter_groups()
        found["groups"] = [
            {k: v if k != "params" else [tuple(p.shape) for p in v] for k, v in group.items()}
            for group in groups
        ]
    return found
