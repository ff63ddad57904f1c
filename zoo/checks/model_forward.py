"""Checks of a model's forward pass: shapes, rows, padding, direction, state."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.checks.model_case import (
    INPUT_SIZE,
    ROWS,
    STEPS,
    ModelCase,
    WithoutRandomness,
    detached,
    expect_same,
    expect_same_state,
    loss,
    run,
    settings,
    training,
)
from zoo.checks.result import CheckError, CheckSkipped
from zoo.interfaces import DecodesSteps, ForwardsEmbedded, HasReadout
from zoo.nn import gather_last

# Lengths of rows that are padded to STEPS.
RAGGED = [STEPS, 3, 1, 4]


def check_builds(case: ModelCase) -> None:
    """A model is built for inputs of any size, as target(input_size, options)."""
    for size in (1, INPUT_SIZE, 300):
        model: Any = case.build(size)
        if model.input_size != size:
            raise CheckError(
                f"input_size is {model.input_size} of a model built for {size}",
                "set self.input_size = input_size",
            )
        if model.output_size < 1:
            raise CheckError(f"output_size is {model.output_size}", "set it to the outputs' size")
        run(model, torch.zeros(2, 3, size))


def check_shapes(case: ModelCase) -> None:
    """Outputs are (B, T, output_size) in the dtype of the inputs; the state has rows on axis 1."""
    model: Any = case.build()
    for rows, steps in ((ROWS, STEPS), (1, 1)):
        result = run(model, case.inputs(rows, steps))
        if not isinstance(result, tuple) or len(result) != 2:
            raise CheckError(
                f"forward returned a {type(result).__name__}", "return (outputs, state)"
            )
        outputs, state = result
        if not isinstance(outputs, Tensor):
            raise CheckError(f"outputs are a {type(outputs).__name__}, not a tensor")
        if outputs.shape != (rows, steps, model.output_size):
            raise CheckError(
                f"outputs are {tuple(outputs.shape)}, not {(rows, steps, model.output_size)}",
                "B comes first, T second",
            )
        if outputs.dtype != torch.float32:
            raise CheckError(f"outputs are {outputs.dtype} of float32 inputs")
        _expect_state(state, rows)


def _expect_state(state: object, rows: int) -> None:
    fix = "return a tuple of tensors (any, B, any)"
    if not isinstance(state, tuple) or not all(isinstance(part, Tensor) for part in state):
        raise CheckError(f"the state is a {type(state).__name__}, not a tuple of tensors", fix)
    for part in state:
        if part.dim() < 2 or part.shape[1] != rows:
            raise CheckError(f"a tensor of the state is {tuple(part.shape)} for B = {rows}", fix)


def check_finite(case: ModelCase) -> None:
    """Outputs and state are finite numbers."""
    outputs, state = run(case.build(), case.inputs())
    for part in (outputs, *state):
        if not torch.isfinite(part).all():
            raise CheckError("a number is infinite or not a number")


def check_strides(case: ModelCase) -> None:
    """Inputs may be of any memory layout."""
    model, inputs = case.build(), case.inputs()
    expected, _ = run(model, inputs)
    other = inputs.transpose(0, 1).contiguous().transpose(0, 1)
    outputs, _ = run(model, other)
    expect_same(outputs, expected, "outputs differ for a transposed copy of the inputs",
                "use reshape() instead of view()")  # fmt: skip


def check_inputs_unchanged(case: ModelCase) -> None:
    """Inputs, lengths and state are not changed in place."""
    model, inputs = case.build(), case.inputs()
    lengths = torch.tensor(RAGGED)
    state = detached(run(model, inputs, lengths)[1])
    for mode in (False, True):
        model.train(mode)
        given = inputs.clone(), lengths.clone(), detached(state)
        with torch.no_grad():
            run(model, given[0], given[1], given[2] if case.info.causal else None)
        what = {"inputs": (given[0], inputs), "lengths": (given[1], lengths)}
        for number, pair in enumerate(zip(given[2], state, strict=True)):
            what[f"tensor {number} of the state"] = pair
        for name, (after, before) in what.items():
            if not torch.equal(after, before):
                raise CheckError(f"{name} changed in place", "work on a clone")
    model.eval()


def check_evaluation_repeats(case: ModelCase) -> None:
    """In evaluation mode the outputs depend on the inputs and the state given, and nothing else."""
    model, inputs = case.build(), case.inputs()
    with torch.no_grad():
        before, state = run(model, inputs)
        run(model, case.inputs(ROWS, STEPS, seed=2))
        again, state_again = run(model, inputs)
    fix = "keep nothing between calls; draw nothing unless self.training"
    expect_same(before, again, "outputs differ when the same inputs are read again", fix)
    expect_same_state(state, state_again, "the state differs when inputs are read again", fix)


def check_evaluation_draws_nothing(case: ModelCase) -> None:
    """In evaluation mode nothing is drawn from a global generator."""
    model, inputs = case.build(), case.inputs()
    before = random_states()
    with torch.no_grad():
        run(model, inputs)
    for name, state in random_states().items():
        if state != before[name]:
            raise CheckError(f"the global generator of {name} moved on",
                              "draw only where self.training is true")  # fmt: skip


def random_states() -> dict[str, bytes | str]:
    """Return the states of the global generators."""
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(np.random.get_state(legacy=True)),
        "random": repr(random.getstate()),
    }


def check_settings_unchanged(case: ModelCase) -> None:
    """Building and running leave the settings of the process as they are."""
    model = case.build()
    with training(model):
        run(model, case.inputs())
    for name, value in settings().items():
        if value != (before := case.settings[name]):
            torch.set_grad_enabled(True)
            raise CheckError(f"{name} changed from {before} to {value}",
                              "use a context manager that restores it")  # fmt: skip


def check_rows_independent(case: ModelCase) -> None:
    """A row does not depend on the other rows of its batch, their order or their number."""
    _expect_independent_rows(case, case.build(), "")


def check_rows_independent_in_training(case: ModelCase) -> None:
    """The same in training mode, dropout apart: there are no statistics over rows."""
    model = case.build()
    with training(model), WithoutRandomness():
        torch.manual_seed(1)
        one, _ = run(model, case.inputs())
        torch.manual_seed(2)
        if not torch.equal(one, run(model, case.inputs())[0]):
            raise CheckSkipped("training mode draws more than dropout")
        _expect_independent_rows(case, model, " in training mode")


def _expect_independent_rows(case: ModelCase, model: nn.Module, mode: str) -> None:
    inputs = case.inputs()
    order = torch.tensor([2, 0, 3, 1])
    fix = "compute each row by itself: no statistics over rows, B on axis 0"
    with torch.no_grad():
        outputs, state = run(model, inputs)
        moved, moved_state = run(model, inputs[order])
        expect_same(moved, outputs[order], f"outputs depend on the order of rows{mode}", fix)
        expected = tuple(part[:, order] for part in state)
        expect_same_state(moved_state, expected, f"the state depends on their order{mode}", fix)
        for row in range(ROWS):
            alone, alone_state = run(model, inputs[row : row + 1])
            expect_same(alone[0], outputs[row], f"outputs of a row differ by itself{mode}", fix)
            expected = tuple(part[:, row : row + 1] for part in state)
            expect_same_state(alone_state, expected, f"a row's state differs by itself{mode}", fix)
    given = inputs.clone().requires_grad_()
    outputs, _ = run(model, given)
    if not outputs.requires_grad:
        return
    (gradient,) = torch.autograd.grad(outputs[0].sum(), given)
    if gradient[1:].abs().sum():
        raise CheckError(f"the gradient of a row's outputs reaches other rows{mode}", fix)


def check_padding_ignored(case: ModelCase) -> None:
    """The result of a row does not depend on its padding: neither its values nor its amount."""
    model, inputs = case.build(), case.inputs()
    lengths = torch.tensor(RAGGED)
    mask = (torch.arange(STEPS) < lengths[:, None])[..., None]
    fix = "stop each row at its length, for instance with zoo.nn.length_mask"
    expected, end = run(model, inputs * mask, lengths)
    noise = 1e3 * case.inputs(seed=3)
    longer = torch.cat((torch.where(mask, inputs, noise), noise), dim=1)
    variants = {
        "values at padding": torch.where(mask, inputs, noise),
        "how much padding there is": longer,
    }
    for what, padded in variants.items():
        outputs, state = run(model, padded, lengths)
        expect_same(outputs[:, :STEPS] * mask, expected * mask, f"outputs depend on {what}", fix)
        expect_same_state(state, end, f"the state depends on {what}", fix)
    for row, length in enumerate(RAGGED):
        alone, state = run(model, inputs[row : row + 1, :length])
        expect_same(alone[0], expected[row, :length], "outputs differ from those without padding",
                    fix)  # fmt: skip
        state_fix = "return the state after the last step of each row, not of the batch"
        expect_same_state(state, tuple(part[:, row : row + 1] for part in end),
                          "the state differs from that without padding", state_fix)  # fmt: skip


def check_padding_has_no_gradient(case: ModelCase) -> None:
    """No gradient comes from padding."""
    model = case.build()
    lengths = torch.tensor(RAGGED)
    mask = (torch.arange(STEPS) < lengths[:, None])[..., None]
    fix = "mask before the sums, with torch.where instead of a product"
    found = []
    for inputs in (case.inputs() * mask, torch.where(mask, case.inputs(), 50 * case.inputs())):
        model.zero_grad()
        given = inputs.clone().requires_grad_()
        outputs, _ = run(model, given, lengths)
        (outputs * mask).square().sum().backward()
        assert given.grad is not None
        if (given.grad * ~mask).abs().sum():
            raise CheckError("inputs at padding have a gradient", fix)
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        found.append(torch.cat([torch.view_as_real(g).flatten() if g.is_complex() else g
                                for g in gradients]) if gradients else torch.zeros(1))  # fmt: skip
    expect_same(found[0], found[1], "gradients of parameters depend on padding", fix)


def check_zero_at_padding(case: ModelCase) -> None:
    """Outputs are zero at padding."""
    for mode in (False, True):
        model = case.build().train(mode)
        with torch.no_grad():
            outputs, _ = run(model, case.inputs(), RAGGED)
        padding = ~(torch.arange(STEPS) < torch.tensor(RAGGED)[:, None])[..., None]
        if (outputs * padding).abs().sum():
            raise CheckError("an output at padding is not zero",
                              "multiply outputs by zoo.nn.length_mask(...)[..., None]")  # fmt: skip


def check_direction(case: ModelCase) -> None:
    """A causal model never reads ahead; another one says what it has read with readout()."""
    model = case.build()
    if not case.info.causal:
        if not isinstance(model, HasReadout):
            raise CheckError("causal=False, and there is no readout(state)",
                              "define readout, or declare causal=True")  # fmt: skip
        network: Any = model
        _, state = run(network, case.inputs(), RAGGED)
        shape = tuple(model.readout(state).shape)
        if shape != (ROWS, network.output_size):
            raise CheckError(f"readout returns {shape}, not {(ROWS, network.output_size)}")
        return
    inputs = case.inputs()
    with torch.no_grad():
        expected, _ = run(model, inputs)
        for step in range(1, STEPS):
            _expect_past_alone(case, model, expected, step, "")
            outputs, _ = run(model, inputs, [step] * ROWS)
            expect_same(outputs[:, :step], expected[:, :step],
                        "outputs depend on how long the row is", _CAUSAL)  # fmt: skip


def check_direction_in_training(case: ModelCase) -> None:
    """The same in training mode, dropout apart."""
    _needs_causal(case)
    model = case.build().train()
    with torch.no_grad(), WithoutRandomness(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        expected, _ = run(copy.deepcopy(model), case.inputs())
        for step in range(1, STEPS):
            torch.manual_seed(1)
            _expect_past_alone(case, copy.deepcopy(model), expected, step, " in training mode")


_CAUSAL = "let the output at step t depend on steps up to t alone, or declare causal=False"


def _expect_past_alone(
    case: ModelCase, model: nn.Module, expected: Tensor, step: int, mode: str
) -> None:
    """Fail if outputs before a step change with the inputs from that step on."""
    changed = case.inputs()
    changed[:, step:] = 10 * case.inputs(seed=4)[:, step:]
    outputs, _ = run(model, changed)
    found = f"outputs before step {step + 1} depend on later steps{mode}"
    expect_same(outputs[:, :step], expected[:, :step], found, _CAUSAL)


def check_readout(case: ModelCase) -> None:
    """What a causal model reads out is its last output."""
    model = case.build()
    if not case.info.causal or not isinstance(model, HasReadout):
        raise CheckSkipped("it is not causal, or has no readout")
    outputs, state = run(model, case.inputs(), RAGGED)
    expected = gather_last(outputs, torch.tensor(RAGGED))
    expect_same(model.readout(state), expected, "readout(state) is not the last output",
                "return the last output, or leave readout out")  # fmt: skip


def check_state_continues(case: ModelCase) -> None:
    """Passing the state back continues the sequence: pieces give what one pass gives."""
    _needs_causal(case)
    model, inputs = case.build(), case.inputs()
    fix = "start from the state that is given, and return the one after the last step"
    with torch.no_grad():
        expected, end = run(model, inputs)
        for cuts in ([3], [1, 4], range(1, STEPS)):
            pieces, state = [], None
            for first, after in zip([0, *cuts], [*cuts, STEPS], strict=True):
                outputs, state = run(model, inputs[:, first:after], state=state)
                pieces.append(outputs)
            what = f"of pieces that are cut at {', '.join(map(str, cuts))}"
            expect_same(torch.cat(pieces, 1), expected, f"outputs {what} differ", fix)
            assert state is not None
            expect_same_state(state, end, f"the last state {what} differs", fix)


def check_state_rows(case: ModelCase) -> None:
    """Axis 1 of the state is the batch: its rows can be chosen and reordered."""
    _needs_causal(case)
    model, inputs = case.build(), case.inputs()
    order = torch.tensor([3, 1])
    with torch.no_grad():
        _, state = run(model, inputs)
        expected, _ = run(model, case.inputs(seed=5), state=state)
        chosen = tuple(part[:, order] for part in state)
        outputs, _ = run(model, case.inputs(seed=5)[order], state=chosen)
    expect_same(outputs, expected[order], "rows of the state do not belong to rows of the batch",
                "keep B on axis 1 of every tensor of the state")  # fmt: skip


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


def check_graph(case: ModelCase) -> None:
    """Each forward pass has a graph of its own, also where it continues a detached state."""
    model = case.build()
    with training(model):
        _, state = run(model, case.inputs())
        first = loss(model, case.inputs())
        if first.requires_grad:
            first.backward()
        given = detached(state) if case.info.causal else None
        try:
            for _ in range(2):
                outputs, _ = run(model, case.inputs(seed=7), state=given)
                if outputs.requires_grad:
                    outputs.square().sum().backward()
        except RuntimeError as error:
            raise CheckError(
                f"a second backward pass failed ({str(error).splitlines()[0]})",
                "keep no tensor with a gradient between calls",
            ) from error


def check_embedded(case: ModelCase) -> None:
    """forward_embedded returns what forward returns for the rows of an embedding."""
    model = case.build()
    if not isinstance(model, ForwardsEmbedded):
        raise CheckSkipped("it has no forward_embedded")
    generator = torch.Generator().manual_seed(8)
    token_ids = torch.randint(INPUT_SIZE, (ROWS, STEPS), generator=generator)
    lengths = torch.tensor(RAGGED)
    table = torch.randn(INPUT_SIZE, INPUT_SIZE, generator=generator)
    for weight in (table, None):
        vectors = torch.eye(INPUT_SIZE) if weight is None else weight
        expected, end = run(model, vectors[token_ids], lengths)
        what = "one-hot vectors" if weight is None else "rows of an embedding"
        outputs, state = model.forward_embedded(weight, token_ids, lengths)
        expect_same(outputs, expected, f"outputs differ from those of forward for {what}")
        expect_same_state(state, end, f"the state differs from that of forward for {what}")
        _, state = model.forward_embedded(weight, token_ids, lengths, return_outputs=False)
        expect_same_state(state, end, "the state differs with return_outputs=False")


def check_decode_step(case: ModelCase) -> None:
    """The step function for generation computes what forward computes."""
    model = case.build()
    if not case.info.causal or not isinstance(model, DecodesSteps):
        raise CheckSkipped("it is not causal, or has no decode_step")
    generator = torch.Generator().manual_seed(9)
    token_ids = torch.randint(INPUT_SIZE, (ROWS, STEPS), generator=generator)
    table = torch.randn(INPUT_SIZE, INPUT_SIZE, generator=generator)
    with torch.no_grad():
        for weight in (table, None):
            vectors = torch.eye(INPUT_SIZE) if weight is None else weight
            expected, end = run(model, vectors[token_ids])
            step, state = model.decode_step(weight), None
            for number in range(STEPS):
                outputs, state = step(token_ids[:, number], state)
                expect_same(outputs, expected[:, number], f"step {number + 1} differs from forward")
            assert state is not None
            expect_same_state(state, end, "the state differs from that of forward")


def _needs_causal(case: ModelCase) -> None:
    if not case.info.causal:
        raise CheckSkipped("it is not causal")
