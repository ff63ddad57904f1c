"""Checks of the state: that it continues each row, as a value of its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zoo.checks.model_case import (
    INPUT_SIZE,
    ROWS,
    STEPS,
    ModelCase,
    detached,
    difference,
    expect_same,
    expect_same_results,
    perturb,
    rows_of,
    run,
    run_in_training,
)
from zoo.checks.result import CheckError
from zoo.interfaces import State


def check_state_is_a_value(case: ModelCase) -> None:
    """A state that was returned is not changed by later calls."""
    model = case.build()
    with torch.no_grad():
        _, state = run(model, case.inputs())
        before = detached(state)
        run(model, case.inputs(seed=6), state=state if case.info.causal else None)
    for part, kept in zip(state, before, strict=True):
        if not torch.equal(part, kept):
            raise CheckError("a state changed after it was returned",
                              "return new tensors, not buffers that are written again")  # fmt: skip


def check_state_continues(case: ModelCase) -> None:
    """Passing the state back continues the sequence: pieces give what one pass gives."""
    case.needs_causal()
    model, inputs = case.build(), case.inputs()
    with torch.no_grad():
        expected = run(model, inputs)
        for cuts in ([3], [1, 4], range(1, STEPS)):
            pieces: list[Tensor] = []
            state: State | None = None
            for first, after in zip([0, *cuts], [*cuts, STEPS], strict=True):
                outputs, state = run(model, inputs[:, first:after], state=state)
                pieces.append(outputs)
            assert state is not None
            expect_same_results((torch.cat(pieces, 1), state), expected,
                                f"changed where a row is cut at {', '.join(map(str, cuts))}",
                                "start from the state that is given, and return the one after "
                                "the last step")  # fmt: skip


def check_ragged_state(case: ModelCase) -> None:
    """Each row continues from its own last step, where rows of a batch differ in length."""
    case.needs_causal()
    model, inputs = case.build(), case.inputs(ROWS, 9)
    read: list[list[Tensor]] = [[] for _ in range(ROWS)]
    at, state = [0] * ROWS, None
    with torch.no_grad():
        for lengths in ([1, 4, 2, 3], [2, 1, 4, 1], [3, 2, 1, 4]):
            piece = inputs.new_zeros(ROWS, 5, INPUT_SIZE)
            for row, length in enumerate(lengths):
                piece[row, :length] = inputs[row, at[row] : at[row] + length]
            outputs, state = run(model, piece, lengths, state)
            for row, length in enumerate(lengths):
                read[row].append(outputs[row, :length])
                at[row] += length
        assert state is not None
        for row in range(ROWS):
            expect_same_results(
                (torch.cat(read[row])[None], rows_of(state, [row])),
                run(model, inputs[[row], : at[row]]),
                "changed where a row is read in pieces, beside rows of other lengths",
                "start each row from its state, and return the one after its last step",
            )  # fmt: skip


def check_state_rows(case: ModelCase) -> None:
    """Axis 1 of the state is the batch: its rows can be chosen and reordered."""
    case.needs_causal()
    model, inputs = case.build(), case.inputs()
    order = [3, 1]
    with torch.no_grad():
        _, state = run(model, inputs)
        expected, _ = run(model, case.inputs(seed=5), state=state)
        outputs, _ = run(model, case.inputs(seed=5)[order], state=rows_of(state, order))
    expect_same(outputs, expected[order], "rows of the state do not belong to rows of the batch",
                "keep B on axis 1 of every tensor of the state")  # fmt: skip


def check_hidden_first(case: ModelCase) -> None:
    """Where the last output is in the state, it is in the first tensor: the hidden state."""
    model = case.build()
    with torch.no_grad():
        outputs, state = run(model, case.inputs())
    found = [_holds(part, outputs[:, -1]) for part in state]
    if any(found) and not found[0]:
        raise CheckError(f"the last output is in tensor {found.index(True)} of the state",
                          "return the hidden state first, as torch.nn.LSTM does")  # fmt: skip


def _holds(part: Tensor, last: Tensor) -> bool:
    if part.dim() != 3 or part.is_complex():
        return False
    return any(layer.shape == last.shape and difference(layer, last) < 1e-6 for layer in part)


def check_state_in_training(case: ModelCase) -> None:
    """In training mode, too, a model starts from the state that is given."""
    case.needs_causal()
    model, inputs = case.build(), case.inputs()
    states = [detached(run_in_training(model, case.inputs(seed=seed))[1]) for seed in (1, 2)]
    with torch.no_grad():
        read = [run(model, inputs, state=state)[0] for state in states]
    trained = [run_in_training(model, inputs, state=state)[0] for state in states]
    if difference(*read) > 1e-3 and difference(*trained) < 1e-7:
        raise CheckError("outputs do not depend on the given state in training mode",
                          "start from it in both modes")  # fmt: skip


def check_state_gradient(case: ModelCase) -> None:
    """Where outputs depend on earlier steps, a gradient reaches these, through a state as well."""
    case.needs_causal()
    model = case.build()
    perturb(model)
    model = model.double()
    early, later = case.inputs(2, 3).double(), case.inputs(2, 24, seed=2).double()

    def at_once(inputs: Tensor) -> Tensor:
        return run(model, torch.cat((inputs, later), 1))[0][:, 3:]

    def in_pieces(inputs: Tensor) -> Tensor:
        return run(model, later, state=run(model, inputs)[1])[0]

    _expect_gradient(at_once, early, "within a row")
    _expect_gradient(in_pieces, early, "through a state")


def _expect_gradient(read: Callable[[Tensor], Tensor], inputs: Tensor, where: str) -> None:
    noise = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(2))
    given = inputs.clone().requires_grad_()
    outputs = read(given)
    with torch.no_grad():
        changed = read(inputs + 0.5 * noise)
    for step in (0, 3, 23):
        if difference(changed[:, step], outputs[:, step]) <= 1e-9:
            continue
        total = outputs[:, step].square().sum()
        gradient = None
        if total.requires_grad:
            (gradient,) = torch.autograd.grad(total, given, retain_graph=True, allow_unused=True)
        if gradient is None or not gradient.abs().sum():
            raise CheckError(
                f"outputs depend on earlier steps, and no gradient reaches them {where}, "
                f"{step + 1} steps before", "do not detach the state: the engine does",
            )  # fmt: skip
