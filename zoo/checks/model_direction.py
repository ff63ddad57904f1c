"""Checks of which steps a model reads, and of what it reads out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from zoo.checks.model_case import (
    RAGGED,
    ROWS,
    STEPS,
    ModelCase,
    difference,
    expect_same,
    moved_generators,
    random_states,
    rows_of,
    run,
    run_in_training,
)
from zoo.checks.result import CheckError, CheckSkipped
from zoo.interfaces import HasReadout
from zoo.nn import gather_last

# Steps of long rows: beyond any table or window that fits short ones.
LONG, VERY_LONG = 80, 1100

_CAUSAL = (
    "let the output at step t depend on steps up to t alone, "
    "or declare causal=False and define readout"
)


def check_direction(case: ModelCase) -> None:
    """A causal model never reads ahead; another one says what it has read with readout()."""
    model = case.build()
    if not case.info.causal:
        if not isinstance(model, HasReadout):
            raise CheckError(
                "causal=False, and there is no readout(state)",
                "define readout; or, if no output depends on later steps, declare causal=True",
            )
        network: Any = model
        _, state = run(network, case.inputs(), RAGGED)
        shape = tuple(model.readout(state).shape)
        if shape != (ROWS, network.output_size):
            raise CheckError(f"readout returns {shape}, not {(ROWS, network.output_size)}")
        return
    inputs = case.inputs()
    with torch.no_grad():
        expected = _expect_past_alone(
            inputs, range(1, STEPS), lambda changed: run(model, changed)[0]
        )
        for step in range(1, STEPS):
            outputs, _ = run(model, inputs, [step] * ROWS)
            expect_same(outputs[:, :step], expected[:, :step],
                        "outputs depend on how long the row is", _CAUSAL)  # fmt: skip


def check_direction_in_training(case: ModelCase) -> None:
    """In training mode, too, a causal model never reads ahead."""
    case.needs_causal()
    model = case.build()
    _expect_past_alone(
        case.inputs(), range(1, STEPS), lambda changed: run_in_training(model, changed)[0],
        " in training mode",
    )  # fmt: skip


def _expect_past_alone(
    inputs: Tensor, steps: range | list[int], outputs_of: Callable[[Tensor], Tensor], mode: str = ""
) -> Tensor:
    """Fail if outputs before a step change with the inputs from that step on; return outputs."""
    expected = outputs_of(inputs)
    for step in steps:
        changed = inputs.clone()
        changed[:, step:] = 10 * inputs.roll(1, 1)[:, step:] + 1
        before = "output of step 1 depends" if step == 1 else f"outputs of steps 1 to {step} depend"
        found = f"the {before} on step {step + 1} or later ones{mode}"
        expect_same(outputs_of(changed)[:, :step], expected[:, :step], found, _CAUSAL)
    return expected


def check_own_step(case: ModelCase) -> None:
    """Outputs of a step depend on the input of that step."""
    model, inputs = case.build(), case.inputs()
    with torch.no_grad():
        expected, _ = run(model, inputs)
        for step in range(STEPS):
            changed = inputs.clone()
            changed[:, step] = case.inputs(seed=4)[:, step]
            if difference(run(model, changed)[0][:, step], expected[:, step]) > 1e-6:
                return
    raise CheckError("no output depends on the input of its own step",
                      "return the state after each step, not the one before it")  # fmt: skip


def check_long_rows(case: ModelCase) -> None:
    """Long rows are read like short ones: finite, causal and in pieces."""
    model, inputs = case.build(), case.inputs(1, LONG)
    with torch.no_grad():
        for steps in (LONG, VERY_LONG):
            outputs, state = run(model, case.inputs(1, steps))
            if not all(torch.isfinite(part).all() for part in (outputs, *state)):
                raise CheckError(f"a number is infinite or not a number on a row of {steps} steps")
        if not case.info.causal:
            return
        expected = _expect_past_alone(
            inputs, [LONG // 2, LONG - 1], lambda changed: run(model, changed)[0]
        )
        cut = LONG // 2 + 1
        first, state = run(model, inputs[:, :cut])
        second, _ = run(model, inputs[:, cut:], state=state)
    expect_same(torch.cat((first, second), 1), expected,
                f"outputs of two pieces of a row of {LONG} steps differ",
                "keep in the state all that later steps depend on")  # fmt: skip


def check_readout(case: ModelCase) -> None:
    """What is read out is made of the state, row by row; of a causal model: its last output."""
    model = case.build()
    if not isinstance(model, HasReadout):
        raise CheckSkipped("it has no readout")
    with torch.no_grad():
        outputs, state = run(model, case.inputs(), RAGGED)
        before = random_states()
        expected = model.readout(state)
        if moved_generators(before):
            raise CheckError("readout draws random numbers in evaluation mode")
        if case.info.causal:
            last = gather_last(outputs, torch.tensor(RAGGED))
            expect_same(expected, last, "readout(state) is not the last output",
                        "return the last output, or leave readout out")  # fmt: skip
        run(model, case.inputs(seed=9))
        expect_same(model.readout(state), expected, "readout changed with a later call",
                    "compute it from the state that is given")  # fmt: skip
        for rows in ([2, 0, 3, 1], [0], [1], [2], [3]):
            expect_same(model.readout(rows_of(state, rows)), expected[rows],
                        "readout of a row depends on other rows")  # fmt: skip
        outputs, state = run(model, case.inputs())
        _expect_layout(outputs, model.readout(state))


def _expect_layout(outputs: Tensor, read: Tensor) -> None:
    """Fail if what is read out are numbers of the outputs, but of other features."""
    for row in range(ROWS):
        own = (outputs[row] - read[row]).abs().amin(0) < 1e-6
        anywhere = (outputs[row].flatten()[:, None] - read[row]).abs().amin(0) < 1e-6
        if anywhere.all() and own.float().mean() < 0.5:
            raise CheckError("readout has the features of outputs in another order",
                              "return it in the layout of outputs")  # fmt: skip
