"""Checks of what a model can do beyond forward: read token ids, take single steps."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.checks.model_case import (
    INPUT_SIZE,
    RAGGED,
    ROWS,
    STEPS,
    ModelCase,
    detached,
    expect_same,
    expect_same_results,
    expect_same_state,
    run,
)
from zoo.checks.result import CheckError, CheckSkipped
from zoo.interfaces import DecodesSteps, ForwardsEmbedded, State


def _tokens() -> tuple[Tensor, Tensor]:
    """Return token ids (ROWS, STEPS), and an embedding."""
    generator = torch.Generator().manual_seed(8)
    token_ids = torch.randint(INPUT_SIZE, (ROWS, STEPS), generator=generator)
    return token_ids, torch.randn(INPUT_SIZE, INPUT_SIZE, generator=generator)


def check_embedded(case: ModelCase) -> None:
    """forward_embedded returns what forward returns for the rows of an embedding."""
    model = case.build()
    if not isinstance(model, ForwardsEmbedded):
        raise CheckSkipped("it has no forward_embedded")
    token_ids, table = _tokens()
    lengths = torch.tensor(RAGGED)
    _, end = run(model, case.inputs())
    for given in (None, detached(end)) if case.info.causal else (None,):
        for weight in (table, None):
            vectors = torch.eye(INPUT_SIZE) if weight is None else weight
            what = (
                f"differ from forward for {'one-hot vectors' if weight is None else 'embeddings'}"
            )
            what += " and a given state" if given else ""
            expected = run(model, vectors[token_ids], lengths, given)
            found = model.forward_embedded(weight, token_ids, lengths, given)
            expect_same_results(found, expected, what)
            _, state = model.forward_embedded(
                weight, token_ids, lengths, given, return_outputs=False
            )
            expect_same_state(state, expected[1], "the state differs with return_outputs=False")
    weight = table.requires_grad_()
    expected_outputs, _ = run(model, weight[token_ids], lengths)
    outputs, _ = model.forward_embedded(weight, token_ids, lengths)
    (expected_gradient,) = torch.autograd.grad(expected_outputs.square().sum(), weight)
    gradient = None
    if outputs.requires_grad:
        (gradient,) = torch.autograd.grad(outputs.square().sum(), weight, allow_unused=True)
    if gradient is None:
        raise CheckError("forward_embedded gives no gradient to the embedding")
    expect_same(gradient, expected_gradient, "the embedding's gradient differs from forward's")


def check_decode_step(case: ModelCase) -> None:
    """The step function for generation computes what forward computes."""
    model = case.build()
    case.needs_causal()
    if not isinstance(model, DecodesSteps):
        raise CheckSkipped("it has no decode_step")
    token_ids, table = _tokens()
    with torch.no_grad():
        for weight in (table, None):
            vectors = torch.eye(INPUT_SIZE) if weight is None else weight
            expected, end = run(model, vectors[token_ids])
            step = model.decode_step(weight)
            # Twice: a None starts afresh, whatever was read before.
            for _ in range(2):
                state: State | None = None
                for number in range(STEPS):
                    outputs, state = step(token_ids[:, number], state)
                    expect_same(outputs, expected[:, number],
                                f"step {number + 1} differs from forward")  # fmt: skip
                assert state is not None
                expect_same_state(state, end, "the state differs from that of forward")
