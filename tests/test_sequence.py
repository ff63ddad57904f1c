"""One long sequence: every token predicted once, and which batch continues which."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import zoo
from zoo.data import sequence
from zoo.data.ragged import IntArray
from zoo.data.sequence import TokenSequence

# Every token differs from every other, so that a token id is a position.
TOKEN_IDS = np.arange(1003)


def split(
    batching: str = "contiguous", bptt_steps: int = 10, token_ids: IntArray = TOKEN_IDS
) -> TokenSequence:
    return TokenSequence(token_ids, bptt_steps, batching)


@pytest.mark.parametrize("steps", [7, 64, 2048])
def test_evaluation_predicts_every_token_once_in_one_row(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence, "EVALUATION_STEPS", steps)
    batches = list(split().eval_batches())
    inputs = torch.cat([batch.inputs for batch in batches], dim=1)
    targets = torch.cat([batch.targets for batch in batches], dim=1)
    assert inputs[0].tolist() == TOKEN_IDS[:-1].tolist()
    assert targets[0].tolist() == TOKEN_IDS[1:].tolist()
    assert [batch.reset_state for batch in batches] == [True] + [False] * (len(batches) - 1)
    assert split().num_examples == len(TOKEN_IDS) - 1


def test_evaluation_with_carried_state_equals_one_call_over_the_whole_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sequence, "EVALUATION_STEPS", 37)
    torch.manual_seed(1)
    model = zoo.create_model("lstm", 11, hidden_size=6, num_layers=2)
    token_ids = np.random.default_rng(1).integers(11, size=500)
    outputs, state = [], None
    with torch.no_grad():
        for batch in split(token_ids=token_ids).eval_batches():
            part, state = model(batch.inputs, batch.lengths, None if batch.reset_state else state)
            outputs.append(part)
        whole, end = model(torch.from_numpy(token_ids[None, :-1]), torch.tensor([499]))
    torch.testing.assert_close(torch.cat(outputs, dim=1), whole, atol=1e-6, rtol=0)
    torch.testing.assert_close(state, end, atol=1e-6, rtol=0)


@pytest.mark.parametrize("epoch", [0, 3])
@pytest.mark.parametrize("rows", [1, 4, 64])
def test_contiguous_rows_continue_those_of_the_batch_before(rows: int, epoch: int) -> None:
    batches = list(split().train_batches(seed=2, epoch=epoch, batch_size=rows))
    assert [batch.reset_state for batch in batches] == [True] + [False] * (len(batches) - 1)
    assert all(len(batch.inputs) == rows for batch in batches)
    for batch, following in itertools.pairwise(batches):
        assert torch.equal(following.inputs[:, 0], batch.targets[:, -1])
    for batch in batches:
        # The sequence is a ring.
        assert torch.equal(batch.targets, (batch.inputs + 1) % len(TOKEN_IDS))
        assert (batch.lengths == batch.inputs.shape[1]).all()
    seen = torch.cat([batch.targets.flatten() for batch in batches]).tolist()
    assert len(seen) == len(set(seen))
    # Less than one token a row is left out.
    assert len(seen) > len(TOKEN_IDS) - 1 - rows


def test_where_contiguous_rows_start_depends_on_seed_and_epoch_alone() -> None:
    firsts = [
        [int(split().train_batches(seed, epoch, 4)[0].inputs[0, 0]) for epoch in range(12)]
        for seed in (1, 1, 2)
    ]
    assert firsts[0] == firsts[1]
    assert firsts[0] != firsts[2]
    assert len(set(firsts[0])) > 10


@pytest.mark.parametrize("length", [3, 9, 40])
def test_a_sequence_shorter_than_a_batch_is_still_read(length: int) -> None:
    for batching in sequence.BATCHING:
        for epoch in range(4):
            short = split(batching, bptt_steps=30, token_ids=TOKEN_IDS[:length])
            batches = short.train_batches(1, epoch, 64)
            assert len(batches) >= 1
            assert all(batch.inputs.numel() for batch in batches)
            assert max(int(batch.targets.max()) for batch in batches) < length


def test_random_windows_depend_on_seed_epoch_and_batch_number_alone() -> None:
    def starts(seed: int, epoch: int) -> list[list[int]]:
        batches = split("random").train_batches(seed, epoch, 16)
        assert all(batch.reset_state for batch in batches)
        assert all(batch.inputs.shape == (16, 10) for batch in batches)
        for batch in batches:
            assert (batch.inputs.diff(dim=1) == 1).all()
            assert torch.equal(batch.targets, batch.inputs + 1)
        return [batch.inputs[:, 0].tolist() for batch in batches]

    drawn = starts(1, 0)
    np.random.seed(5)
    torch.manual_seed(5)
    assert starts(1, 0) == drawn
    assert starts(1, 1) != drawn
    assert starts(2, 0) != drawn
    assert drawn[0] != drawn[1]


def test_random_windows_reach_both_ends_of_the_sequence() -> None:
    short = split("random", bptt_steps=10, token_ids=TOKEN_IDS[:13])
    drawn = torch.cat([short.train_batches(1, epoch, 8)[0].inputs[:, 0] for epoch in range(30)])
    # 13 tokens hold windows of 10 inputs and a target at 0, 1 and 2, and nowhere else.
    assert sorted(set(drawn.tolist())) == [0, 1, 2]


@pytest.mark.parametrize("length", [4, 101, 104, 1003])
def test_windows_predict_every_token_once_from_the_initial_state(length: int) -> None:
    windows = split(token_ids=TOKEN_IDS[:length]).windows(rows=8)
    batches = list(windows.eval_batches())
    assert all(batch.reset_state for batch in batches)
    assert max(batch.inputs.shape[1] for batch in batches) <= 10
    targets = torch.cat([batch.targets.flatten() for batch in batches])
    assert targets.tolist() == TOKEN_IDS[1:length].tolist()
    inputs = torch.cat([batch.inputs.flatten() for batch in batches])
    assert inputs.tolist() == TOKEN_IDS[: length - 1].tolist()
    assert windows.num_examples == length - 1
    assert len(windows.train_batches(1, 0, 3)) == len(batches)


def test_a_slice_stays_within_its_bounds() -> None:
    for batching in sequence.BATCHING:
        part = split(batching).slice(100, 200)
        assert part.num_examples == 99
        batches = part.train_batches(1, 1, 4)
        assert min(int(batch.inputs.min()) for batch in batches) >= 100
        assert max(int(batch.targets.max()) for batch in batches) < 200
