"""The CRF against enumeration of all sequences of tags in NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
import torch
from zoo_crf.crf import IndependentSoftmax, LinearChainCRF
from zoo_crf.spans import allowed, tag_set

Array = npt.NDArray[np.float64]

TAGS = ["O", "B-X", "I-X"]
LENGTHS = torch.tensor([4, 1, 3])
# A sequence of BIO: I-X continues B-X or I-X.
LEGAL = {
    tags
    for tags in itertools.chain(*(itertools.product(range(3), repeat=n) for n in (1, 3, 4)))
    if all(tag != 2 or before in (1, 2) for before, tag in zip((0, *tags), tags, strict=False))
}


def make(*, constrained: bool) -> tuple[LinearChainCRF, torch.Tensor]:
    """Return a CRF with random scores, and emissions whose padding is no number."""
    torch.manual_seed(1)
    crf = LinearChainCRF(3, allowed(TAGS, "bio") if constrained else None).double()
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    emissions = torch.randn(3, 4, 3, dtype=torch.float64)
    for row, length in enumerate(LENGTHS):
        emissions[row, length:] = 1e6
    return crf, emissions


def enumerate_scores(
    crf: LinearChainCRF, emissions: Array, *, constrained: bool
) -> dict[tuple[int, ...], float]:
    """Return the score of every sequence of tags of one row (T, K), or of every legal one."""
    start, moves, end = (
        parameter.detach().numpy() for parameter in (crf.start, crf.transitions, crf.end)
    )
    return {
        tags: start[tags[0]]
        + sum(emissions[step, tag] for step, tag in enumerate(tags))
        + sum(moves[pair] for pair in itertools.pairwise(tags))
        + end[tags[-1]]
        for tags in itertools.product(range(3), repeat=len(emissions))
        if not constrained or tags in LEGAL
    }


@torch.no_grad()
@pytest.mark.parametrize("constrained", [False, True])
def test_partition_likelihood_and_best_path_are_those_of_enumeration(constrained: bool) -> None:
    crf, emissions = make(constrained=constrained)
    partition = crf.log_partition(emissions, LENGTHS)
    decoded = crf.decode(emissions, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        scores = enumerate_scores(crf, emissions[row, :length].numpy(), constrained=constrained)
        total = np.logaddexp.reduce(list(scores.values()))
        assert float(partition[row]) == pytest.approx(total)
        assert tuple(decoded[row, :length].tolist()) == max(scores, key=lambda tags: scores[tags])
        assert not decoded[row, length:].any()
        for tags, score in scores.items():
            targets = torch.zeros(3, 4, dtype=torch.int64)
            targets[row, :length] = torch.tensor(tags)
            found = crf.log_likelihood(emissions, targets, LENGTHS)[row]
            assert float(found) == pytest.approx(score - total)


def test_a_forbidden_sequence_has_no_probability_and_is_never_the_best() -> None:
    crf, emissions = make(constrained=True)
    emissions[..., 2] += 50  # Everything speaks for I-X, at the first step, too.
    targets = torch.tensor([[2, 2, 2, 2], [2, 0, 0, 0], [0, 2, 2, 0]])
    assert (crf.log_likelihood(emissions, targets, LENGTHS).exp() == 0).all()
    assert crf.decode(emissions, LENGTHS).tolist() == [[1, 2, 2, 2], [1, 0, 0, 0], [1, 2, 2, 0]]


@pytest.mark.parametrize("constrained", [False, True])
def test_gradients_are_those_of_finite_differences(constrained: bool) -> None:
    crf, emissions = make(constrained=constrained)
    emissions = emissions.clamp(max=5).requires_grad_()
    targets = torch.tensor([[0, 1, 2, 2], [1, 0, 0, 0], [1, 2, 0, 0]])

    def likelihood(*_: torch.Tensor) -> torch.Tensor:
        return crf.log_likelihood(emissions, targets, LENGTHS)

    assert torch.autograd.gradcheck(likelihood, (emissions, *crf.parameters()))
    likelihood().sum().backward()
    assert emissions.grad is not None
    assert not emissions.grad[1, 1:].any()  # Padding.


def test_softmax_is_the_crf_without_transitions() -> None:
    crf, emissions = make(constrained=False)
    for parameter in crf.parameters():
        torch.nn.init.zeros_(parameter)
    softmax = IndependentSoftmax()
    targets = torch.tensor([[0, 1, 2, 2], [1, 0, 0, 0], [1, 2, 0, 0]])
    arguments = (emissions, targets, LENGTHS)
    torch.testing.assert_close(softmax.log_likelihood(*arguments), crf.log_likelihood(*arguments))
    torch.testing.assert_close(
        softmax.log_partition(emissions, LENGTHS), crf.log_partition(emissions, LENGTHS)
    )
    assert torch.equal(softmax.decode(emissions, LENGTHS), crf.decode(emissions, LENGTHS))


def test_only_scores_are_stored() -> None:
    tags = tag_set(["X"], "bio")
    assert list(LinearChainCRF(3, allowed(tags, "bio")).state_dict()) == [
        "start", "transitions", "end",
    ]  # fmt: skip
