"""Checks of how a model is built: sizes, draws, settings, its module."""

from __future__ import annotations

import importlib.util
import inspect
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from zoo.checks.model_case import (
    INPUT_SIZE,
    ModelCase,
    expect_same,
    moved_generators,
    random_states,
    run,
    settings,
    training,
)
from zoo.checks.result import CheckError, CheckSkipped
from zoo.registry import resolve_target


def check_first_build(case: ModelCase) -> None:
    """The first model of a process is built, and draws what later ones draw."""
    case.settings  # noqa: B018 - they are noted before the first build
    if not torch.equal(case.end_of_draws(1), case.end_of_draws(1)):
        raise CheckError("the first model draws other numbers than the second of the same seed",
                          "draw in each constructor, and keep nothing outside")  # fmt: skip


def check_builds(case: ModelCase) -> None:
    """A model is built for inputs of any size, as target(input_size, options)."""
    before = asdict(case.options)
    for size in (1, INPUT_SIZE, 300):
        model: Any = case.build(size)
        if model.input_size != size:
            raise CheckError(
                f"input_size is {model.input_size} of a model built for {size}",
                "set self.input_size = input_size",
            )
        if model.output_size < 1:
            raise CheckError(f"output_size is {model.output_size}", "set it to the outputs' size")
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if is_lazy(tensor):
                raise CheckError(f"{name} has no shape before the first call",
                                  "use layers whose input size is given")  # fmt: skip
        run(model, torch.zeros(2, 3, size))
    if asdict(case.options) != before:
        raise CheckError("the model changes its options", "keep another value in an attribute")


def check_settings_unchanged(case: ModelCase) -> None:
    """Building and running leave the settings of the process as they are."""
    expected = case.settings
    model = case.build()
    with training(model):
        run(model, case.inputs())
    for name, value in settings().items():
        if value != (before := expected[name]):
            torch.set_grad_enabled(True)
            raise CheckError(f"{name} changed from {before} to {value}",
                              "use a context manager that restores it")  # fmt: skip


def check_seed(case: ModelCase) -> None:
    """Parameters are drawn from torch's generator alone, which goes on from where it was."""
    fix = "draw with torch, from its default generator"
    with _other_generators_at(5):
        before = random_states()
        one, other = case.build(seed=1), case.build(seed=1)
        moved = moved_generators(before)
    if moved:
        raise CheckError(
            f"building draws from the global generator of {moved[0]}, or seeds it", fix
        )
    for (name, first), (_, second) in zip(
        one.state_dict().items(), other.state_dict().items(), strict=True
    ):
        if not torch.equal(first, second):
            raise CheckError(f"{name} differs between two models of the same seed", fix)
    if torch.equal(case.end_of_draws(1), case.end_of_draws(2)):
        raise CheckError("the model seeds torch's generator", "leave torch.manual_seed out")


@contextmanager
def _other_generators_at(seed: int) -> Iterator[None]:
    """Have the global generators of NumPy and Python at a seed, where no model seeds them."""
    kept = np.random.get_state(), random.getstate()
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(kept[0])
        random.setstate(kept[1])


def check_imported_again(case: ModelCase) -> None:
    """Where its module is imported again, as in another process, a model is the same one."""
    model = case.build()
    build = _import_again(resolve_target(case.info.target))
    with torch.random.fork_rng(devices=[]):
        fresh = build(INPUT_SIZE, case.options).eval()
    fresh.load_state_dict(model.state_dict())
    with torch.no_grad():
        expect_same(run(fresh, case.inputs())[0], run(model, case.inputs())[0],
                    "its tensors give other outputs where the module is imported again",
                    "draw nothing at import: register_buffer in the constructor")  # fmt: skip


def _import_again(target: Any) -> Callable[..., Any]:
    """Return a class or function from a second execution of its source."""
    name = getattr(target, "__qualname__", "<>")
    try:
        path = inspect.getsourcefile(target)
    except TypeError:
        path = None
    if path is None or "<" in name:
        raise CheckSkipped("its class is not in a source file by its name")
    spec = importlib.util.spec_from_file_location(f"{target.__module__}_again", path)
    if spec is None or spec.loader is None:
        raise CheckSkipped("its module is no source file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(77)
            spec.loader.exec_module(module)
    except Exception as error:
        raise CheckSkipped(f"its module is not imported twice ({error})") from error
    finally:
        del sys.modules[spec.name]
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]
