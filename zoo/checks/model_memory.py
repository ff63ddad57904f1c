"""Checks of what a model keeps: between calls, in its tensors, in copies, between instances."""

from __future__ import annotations

import copy

import safetensors.torch
import torch
from torch import Tensor, nn

from zoo.checks.model_case import (
    INPUT_SIZE,
    RAGGED,
    ModelCase,
    expect_same,
    expect_same_results,
    fit,
    moved_generators,
    perturb,
    random_states,
    run,
    training,
)
from zoo.checks.result import CheckError
from zoo.interfaces import DecodesSteps


def check_evaluation_draws_nothing(case: ModelCase) -> None:
    """In evaluation mode nothing is drawn from a global generator."""
    model, inputs = case.build(), case.inputs()
    before = random_states()
    with torch.no_grad():
        run(model, inputs)
    if moved := moved_generators(before):
        raise CheckError(f"the global generator of {moved[0]} moved on",
                          "draw only where self.training is true")  # fmt: skip


def check_evaluation_keeps_tensors(case: ModelCase) -> None:
    """In evaluation mode no parameter and no buffer changes."""
    model = case.build()
    before = _separate(model)
    with torch.no_grad():
        run(model, case.inputs())
    for name, tensor in model.state_dict().items():
        if name not in before or not torch.equal(tensor, before[name]):
            raise CheckError(f"{name} changed", "change tensors only where self.training is true")


def check_evaluation_repeats(case: ModelCase) -> None:
    """In evaluation mode the outputs depend on the inputs and the state given, and nothing else."""
    model, inputs = case.build(), case.inputs()
    fix = "keep nothing between calls; draw nothing unless self.training"
    with torch.no_grad():
        expected = run(model, inputs)
        run(model, case.inputs(seed=2))
        expect_same_results(run(model, inputs), expected, "changed when inputs are read again", fix)
        expect_same_results(run(model, inputs, RAGGED), run(case.build(), inputs, RAGGED),
                            "changed with an earlier call of other lengths", fix)  # fmt: skip


def check_copies(case: ModelCase) -> None:
    """A deep copy of a model is a model by itself, as a moving average of parameters needs it."""
    model, inputs = case.build(), case.inputs()
    with torch.no_grad():
        expected, _ = run(model, inputs)
        try:
            copied = copy.deepcopy(model)
        except Exception as error:
            raise CheckError(
                f"it cannot be copied ({error})", "keep no generator, lock or file"
            ) from error
        fix = "keep no function that holds the model, and no tensor made of its parameters"
        expect_same(run(copied, inputs)[0], expected, "copy.deepcopy gives another model", fix)
        perturb(model)
        expect_same(run(copied, inputs)[0], expected, "a copy changes with the original", fix)
        perturb(copied)
        expect_same(run(copied, inputs)[0], run(model, inputs)[0],
                    "a copy does not follow its own parameters", fix)  # fmt: skip


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


def check_follows_tensors(case: ModelCase) -> None:
    """After an evaluation, outputs follow parameters that are changed or loaded."""
    model, other = case.build(seed=1), case.build(seed=2)
    with torch.no_grad():
        _read_both_ways(case, model)
        model.load_state_dict(other.state_dict())
        for one, expected in zip(
            _read_both_ways(case, model), _read_both_ways(case, other), strict=True
        ):
            expect_same(one, expected, "outputs follow tensors of before an evaluation",
                        "keep no product of parameters between calls")  # fmt: skip


_TABLE = torch.eye(INPUT_SIZE)


def _read_both_ways(case: ModelCase, model: nn.Module) -> list[Tensor]:
    """Return outputs of forward, and of decode_step where there is one."""
    found = [run(model, case.inputs())[0]]
    if case.info.causal and isinstance(model, DecodesSteps):
        found.append(model.decode_step(_TABLE)(torch.tensor([1, 2]), None)[0])
    return found


def check_training_seed(case: ModelCase) -> None:
    """In training mode whatever is drawn is drawn from torch's generator alone."""
    model = case.build()
    tensors = _separate(model)
    before = random_states()
    results = []
    with training(model), torch.random.fork_rng(devices=[]), torch.no_grad():
        for _ in range(2):
            model.load_state_dict(tensors)
            torch.manual_seed(3)
            results.append(run(model, case.inputs())[0])
            ended = torch.get_rng_state()
            torch.manual_seed(4)
            run(model, case.inputs())
            if torch.equal(ended, torch.get_rng_state()):
                raise CheckError("the model seeds torch's generator",
                                  "leave torch.manual_seed out")  # fmt: skip
    moved = moved_generators(before)
    if moved or not torch.equal(*results):
        where = f"the global generator of {moved[0]}" if moved else "another generator"
        raise CheckError(f"training draws from {where}", "draw with torch's default generator")


def _separate(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a model, none of which shares memory with another."""
    return {
        name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()
    }
