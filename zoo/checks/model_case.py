"""A model that is checked: how it is built, run and trained."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from zoo.building import build_model
from zoo.checks.result import CheckError, CheckSkipped
from zoo.interfaces import HasReadout, State
from zoo.nn import read_out
from zoo.options import Options
from zoo.records import ModelInfo
from zoo.spec import Component

INPUT_SIZE, ROWS, STEPS = 5, 4, 6
# Lengths of rows that are padded to STEPS.
RAGGED = [STEPS, 3, 1, 4]
# Sums in another order differ by this much in float32, relative to the largest number.
TOLERANCE = 1e-4


class ModelCase:
    """A model by its record, with its options.

    Args:
        info: The record.
        options: The options; None: the defaults.
    """

    def __init__(self, info: ModelInfo, options: Options | None = None) -> None:
        self.info, self._options = info, options

    @cached_property
    def options(self) -> Options:
        """The options; made in the first check, so that one that fails is a failure of it."""
        return self.info.options() if self._options is None else self._options

    @cached_property
    def settings(self) -> dict[str, object]:
        """Those of the process when they are first asked for, before anything is built."""
        return settings()

    def build(
        self, input_size: int = INPUT_SIZE, *, seed: int = 1, options: Options | None = None
    ) -> nn.Module:
        """Return a new model in evaluation mode, its parameters drawn under a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build_model(Component(self.info, options or self.options), input_size).eval()

    def end_of_draws(self, seed: int) -> Tensor:
        """Return the state of torch's generator after a model was built under a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            build_model(Component(self.info, copy.copy(self.options)), INPUT_SIZE)
            return torch.get_rng_state()

    def needs_causal(self) -> None:
        """Skip the check of a model that is not causal."""
        if not self.info.causal:
            raise CheckSkipped("it is not causal")

    def inputs(self, rows: int = ROWS, steps: int = STEPS, *, seed: int = 1) -> Tensor:
        """Return random inputs (rows, steps, INPUT_SIZE)."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(rows, steps, INPUT_SIZE, generator=generator)


def settings() -> dict[str, object]:
    """Return settings of the process that a model has to leave alone."""
    return {
        "the default dtype": torch.get_default_dtype(),
        "the number of threads": torch.get_num_threads(),
        "whether gradients are computed": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }


def random_states() -> dict[str, bytes | str]:
    """Return the states of the global generators."""
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(np.random.get_state(legacy=True)),
        "random": repr(random.getstate()),
    }


def moved_generators(before: dict[str, bytes | str]) -> list[str]:
    """Return the names of global generators whose states are other ones now."""
    return [name for name, state in random_states().items() if state != before[name]]


def ragged_mask(lengths: list[int] = RAGGED, steps: int = STEPS) -> Tensor:
    """Return (B, T, 1): whether a step is one of its row."""
    return (torch.arange(steps) < torch.tensor(lengths)[:, None])[..., None]


def rows_of(state: State, rows: list[int]) -> State:
    """Return some rows of a state."""
    return tuple(part[:, rows] for part in state)


def run(
    model: nn.Module,
    inputs: Tensor,
    lengths: Tensor | list[int] | None = None,
    state: State | None = None,
) -> tuple[Tensor, State]:
    """Run a model over rows, by default of full length."""
    if lengths is None:
        lengths = [inputs.shape[1]] * len(inputs)
    result: tuple[Tensor, State] = model(inputs, torch.as_tensor(lengths), state)
    return result


def read(model: nn.Module, inputs: Tensor) -> Tensor:
    """Return (B, output_size), what a model has read by the end of each row."""
    outputs, state = run(model, inputs)
    lengths = torch.full((len(inputs),), inputs.shape[1])
    return read_out(model, outputs, lengths, state)


def loss(model: nn.Module, inputs: Tensor, lengths: Tensor | list[int] | None = None) -> Tensor:
    """Return a number that depends on outputs of every step, and on what is read out."""
    outputs, state = run(model, inputs, lengths)
    weights = torch.linspace(0.5, 1.5, outputs.shape[-1], dtype=outputs.dtype)
    total = (outputs * weights).square().sum() + (outputs * weights).sum()
    if isinstance(model, HasReadout):
        total = total + (model.readout(state) * weights).square().sum()
    return total


def difference(one: Tensor, other: Tensor) -> float:
    """Return the largest difference, relative to the largest number where that is above 1."""
    if one.shape != other.shape:
        return float("inf")
    if not one.numel():
        return 0.0
    wide = torch.complex128 if one.is_complex() or other.is_complex() else torch.float64
    one, other = one.detach().to(wide), other.detach().to(wide)
    largest = max(float(one.abs().max()), 1.0)
    return float((one - other).abs().max()) / largest


def expect_same(one: Tensor, other: Tensor, found: str, fix: str = "") -> None:
    """Fail unless two tensors agree to within rounding.

    Args:
        one: A tensor.
        other: Another one.
        found: Says what differs; the difference is appended.
        fix: How to mend it.
    """
    size = difference(one, other)
    if not size <= TOLERANCE:  # Also where it is NaN.
        raise CheckError(f"{found} (by {size:.2g})", fix)


def expect_same_state(one: State, other: State, found: str, fix: str = "") -> None:
    """Fail unless two states agree to within rounding."""
    if len(one) != len(other):
        raise CheckError(f"{found} ({len(one)} tensors and {len(other)})", fix)
    for first, second in zip(one, other, strict=True):
        expect_same(first, second, found, fix)


def expect_same_results(
    one: tuple[Tensor, State], other: tuple[Tensor, State], found: str, fix: str = ""
) -> None:
    """Fail unless outputs and states agree; ``found`` goes on after their name."""
    expect_same(one[0], other[0], f"outputs {found}", fix)
    expect_same_state(one[1], other[1], f"the state {found}", fix)


def detached(state: State) -> State:
    """Return a state as the engine carries it to the next batch."""
    return tuple(part.detach().clone() for part in state)


@contextmanager
def training(model: nn.Module) -> Iterator[None]:
    """Have a model in training mode."""
    model.train()
    try:
        yield
    finally:
        model.eval()


def run_in_training(
    model: nn.Module,
    inputs: Tensor,
    lengths: list[int] | None = None,
    state: State | None = None,
) -> tuple[Tensor, State]:
    """Run a copy of a model in training mode under one seed: equal shapes draw equal numbers."""
    copied = copy.deepcopy(model).train()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return run(copied, inputs, lengths, state)


def perturb(model: nn.Module, seed: int = 1, scale: float = 0.1) -> None:
    """Move parameters off special values: a gradient through a factor of zero would be zero.

    Args:
        model: Changed in place.
        seed: Seed of the noise.
        scale: Standard deviation of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point() or parameter.is_complex():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_((scale * noise).to(parameter))


def memory_problem(rows: int = 16) -> tuple[Tensor, Tensor]:
    """Return rows whose first step is one of two vectors and whose last is always the same.

    Returns:
        Inputs (rows, 2, INPUT_SIZE), and which vector it was: 0.0 or 1.0 (rows,).
    """
    targets = (torch.arange(rows) % 2).float()
    inputs = torch.zeros(rows, 2, INPUT_SIZE)
    inputs[:, 0, 0] = 2 * targets - 1
    inputs[:, 1, 1] = 1.0
    return inputs, targets


def fit(model: nn.Module, steps: int, learning_rate: float = 0.02, enough: float = 0.0) -> float:
    """Train a model, and a linear layer on it, on :func:`memory_problem`.

    Args:
        model: Changed in place.
        steps: How many steps are taken at most.
        learning_rate: That of Adam.
        enough: Training ends at a loss below it.

    Returns:
        The least loss.
    """
    inputs, targets = memory_problem()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        head = nn.Linear(model.output_size, 1)  # type: ignore[arg-type]
        parameters = [p for p in (*model.parameters(), *head.parameters()) if p.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=learning_rate)
        least = float("inf")
        with training(model):
            for _ in range(steps):
                optimizer.zero_grad()
                logits = head(read(model, inputs))[:, 0]
                value = nn.functional.binary_cross_entropy_with_logits(logits, targets)
                value.backward()
                optimizer.step()
                least = min(least, float(value.detach()))
                if least < enough:
                    break
    return least
