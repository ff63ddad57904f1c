"""Checks that each row of a batch is read by itself, up to its length."""

from __future__ import annotations

import torch
from torch import nn

from zoo.checks.model_case import (
    RAGGED,
    ROWS,
    STEPS,
    ModelCase,
    expect_same,
    expect_same_results,
    ragged_mask,
    rows_of,
    run,
    run_in_training,
)
from zoo.checks.result import CheckError

_BY_ITSELF = "compute each row by itself: no statistics over rows, B on axis 0"
_STOP = "stop each row at its length, for instance with zoo.nn.length_mask"


def check_rows_independent(case: ModelCase) -> None:
    """A row does not depend on the other rows of its batch, their order or their number."""
    model, inputs = case.build(), case.inputs()
    order = [2, 0, 3, 1]
    with torch.no_grad():
        outputs, state = run(model, inputs)
        expect_same_results(run(model, inputs[order]), (outputs[order], rows_of(state, order)),
                            "changed with the order of rows", _BY_ITSELF)  # fmt: skip
        for row in range(ROWS):
            expect_same_results(
                run(model, inputs[[row]]), (outputs[[row]], rows_of(state, [row])),
                "changed where a row is read by itself", _BY_ITSELF,
            )  # fmt: skip
    _expect_own_gradient(case, model)


def _expect_own_gradient(case: ModelCase, model: nn.Module) -> None:
    given = case.inputs().requires_grad_()
    outputs, _ = run(model, given)
    if outputs.requires_grad:
        (gradient,) = torch.autograd.grad(outputs[0].sum(), given)
        if gradient[1:].abs().sum():
            raise CheckError("the gradient of a row's outputs reaches other rows", _BY_ITSELF)


def check_rows_independent_in_training(case: ModelCase) -> None:
    """In training mode, too, a row does not depend on the values of other rows."""
    model, inputs = case.build(), case.inputs()
    outputs, state = run_in_training(model, inputs)
    for row in range(ROWS):
        changed = 3 * case.inputs(seed=5)
        changed[row] = inputs[row]
        other, other_state = run_in_training(model, changed)
        expect_same_results(
            (other[[row]], rows_of(other_state, [row])), (outputs[[row]], rows_of(state, [row])),
            "of a row changed with other rows in training mode", _BY_ITSELF,
        )  # fmt: skip


def check_padding_ignored(case: ModelCase) -> None:
    """The result of a row does not depend on its padding: neither its values nor its amount."""
    model, inputs, mask = case.build(), case.inputs(), ragged_mask()
    with torch.no_grad():
        expected, end = run(model, inputs * mask, RAGGED)
        noise = 1e3 * case.inputs(seed=3)
        noisy = torch.where(mask, inputs, noise)
        variants = {
            "values at padding": noisy,
            "how much padding there is": torch.cat((noisy, noise), dim=1),
        }
        for what, padded in variants.items():
            outputs, state = run(model, padded, RAGGED)
            # A step that is not returned at all is a matter of zero_at_padding.
            steps = min(STEPS, outputs.shape[1])
            expect_same_results((outputs[:, :steps] * mask, state), (expected * mask, end),
                                f"changed with {what}", _STOP)  # fmt: skip
        for row, length in enumerate(RAGGED):
            alone, state = run(model, inputs[[row], :length])
            expect_same_results(
                (alone[0], state), (expected[row, :length], rows_of(end, [row])),
                "changed where a row has no padding",
                "return the state after the last step of each row, not of the batch",
            )  # fmt: skip


def check_padding_ignored_in_training(case: ModelCase) -> None:
    """In training mode, too, a row does not depend on values at padding."""
    model, inputs, mask = case.build(), case.inputs(), ragged_mask()
    one, state = run_in_training(model, inputs * mask, RAGGED)
    other, end = run_in_training(model, torch.where(mask, inputs, 50 * inputs), RAGGED)
    expect_same_results((other * mask, end), (one * mask, state),
                        "changed with values at padding in training mode", _STOP)  # fmt: skip


def check_zero_at_padding(case: ModelCase) -> None:
    """Outputs are zero at padding, and have its steps also beyond the longest row."""
    for mode in (False, True):
        model = case.build().train(mode)
        for steps in (STEPS, STEPS + 3):
            with torch.no_grad():
                outputs, _ = run(model, case.inputs(steps=steps), RAGGED)
            if outputs.shape[1] != steps:
                raise CheckError(
                    f"outputs have {outputs.shape[1]} steps of inputs of {steps}",
                    "pad_packed_sequence(..., total_length=inputs.shape[1])",
                )
            if (outputs * ~ragged_mask(steps=steps)).abs().sum():
                raise CheckError(
                    "an output at padding is not zero",
                    "multiply outputs by zoo.nn.length_mask(...)[..., None]",
                )


def check_zero_steps(case: ModelCase) -> None:
    """A step of zeros is a step like others; what is padding is said by lengths alone."""
    model, inputs = case.build(), case.inputs()
    inputs[:, 2] = 0
    with torch.no_grad():
        at_zero = run(model, inputs)[0][:, 2]
        inputs[:, 2] = 1e-7
        beside = run(model, inputs)[0][:, 2]
    if not at_zero.any() and beside.abs().max() > 1e-3:
        raise CheckError("the output of a step of zeros is zero, as at padding", _STOP)


def check_padding_has_no_gradient(case: ModelCase) -> None:
    """No gradient comes from padding."""
    model, mask = case.build(), ragged_mask()
    fix = "mask before the sums, with torch.where instead of a product"
    found = []
    for inputs in (case.inputs() * mask, torch.where(mask, case.inputs(), 500 * case.inputs())):
        model.zero_grad()
        given = inputs.clone().requires_grad_()
        outputs, _ = run(model, given, RAGGED)
        (outputs * mask).square().sum().backward()
        assert given.grad is not None
        if (given.grad * ~mask).abs().sum():
            raise CheckError("inputs at padding have a gradient", fix)
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        found.append(torch.cat([torch.view_as_real(g).flatten() if g.is_complex() else g
                                for g in gradients]) if gradients else torch.zeros(1))  # fmt: skip
    expect_same(found[0], found[1], "gradients of parameters depend on padding", fix)
