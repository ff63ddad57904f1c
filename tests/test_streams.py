"""One long sequence: who predicts what, once, and what continues what."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import zoo
from zoo.data import streams
from zoo.data.streams import Stream

# Every symbol differs from every other, so that a symbol says where it stands.
CODES = np.arange(1003)


def stream(reading: str = "streams", window: int = 10, codes: np.ndarray = CODES) -> Stream:
    return Stream(codes, window, reading)


@pytest.mark.parametrize("window", [7, 64, 2048])
def test_ordered_predicts_every_symbol_once_in_one_continued_stream(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "EVALUATION_WINDOW", window)
    batches = list(stream().ordered())
    inputs = torch.cat([batch.inputs for batch in batches], dim=1)
    targets = torch.cat([batch.targets for batch in batches], dim=1)
    assert inputs[0].tolist() == CODES[:-1].tolist()
    assert targets[0].tolist() == CODES[1:].tolist()
    assert [batch.fresh for batch in batches] == [True] + [False] * (len(batches) - 1)
    assert stream().examples == len(CODES) - 1


def test_evaluation_with_carried_state_equals_one_call_over_the_whole_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "EVALUATION_WINDOW", 37)
    torch.manual_seed(1)
    model = zoo.create_model("lstm", 11, hidden_size=6, num_layers=2)
    codes = np.random.default_rng(1).integers(11, size=500)
    outputs, state = [], None
    with torch.no_grad():
        for batch in stream(codes=codes).ordered():
            part, state = model(batch.inputs, batch.lengths, None if batch.fresh else state)
            outputs.append(part)
        whole, end = model(torch.from_numpy(codes[None, :-1]), torch.tensor([499]))
    torch.testing.assert_close(torch.cat(outputs, dim=1), whole, atol=1e-6, rtol=0)
    torch.testing.assert_close(state, end, atol=1e-6, rtol=0)


@pytest.mark.parametrize("epoch", [0, 3])
@pytest.mark.parametrize("rows", [1, 4, 64])
def test_in_streams_each_batch_goes_on_where_the_one_before_ended(rows: int, epoch: int) -> None:
    batches = list(stream().epoch(seed=2, epoch=epoch, batch_size=rows))
    assert [batch.fresh for batch in batches] == [True] + [False] * (len(batches) - 1)
    assert all(len(batch.inputs) == rows for batch in batches)
    for batch, following in itertools.pairwise(batches):
        assert torch.equal(following.inputs[:, 0], batch.targets[:, -1])
    for batch in batches:
        # The text is a ring.
        assert torch.equal(batch.targets, (batch.inputs + 1) % len(CODES))
        assert (batch.lengths == batch.inputs.shape[1]).all()
    seen = torch.cat([batch.targets.flatten() for batch in batches]).tolist()
    assert len(seen) == len(set(seen))
    # What is left out: less than one symbol a stream.
    assert len(seen) > len(CODES) - 1 - rows


def test_streams_start_elsewhere_in_another_epoch_and_nowhere_else_in_the_same() -> None:
    firsts = [
        [int(stream().epoch(seed, epoch, 4)[0].inputs[0, 0]) for epoch in range(12)]
        for seed in (1, 1, 2)
    ]
    assert firsts[0] == firsts[1]
    assert firsts[0] != firsts[2]
    assert len(set(firsts[0])) > 10


@pytest.mark.parametrize("length", [3, 9, 40])
def test_a_text_shorter_than_a_batch_is_still_read(length: int) -> None:
    for reading in streams.READINGS:
        for epoch in range(4):
            batches = stream(reading, window=30, codes=CODES[:length]).epoch(1, epoch, 64)
            assert len(batches) >= 1
            assert all(batch.inputs.numel() for batch in batches)
            assert max(int(batch.targets.max()) for batch in batches) < length


def test_random_windows_are_runs_of_the_text_drawn_by_seed_epoch_and_number() -> None:
    def starts(seed: int, epoch: int) -> list[list[int]]:
        batches = stream("windows").epoch(seed, epoch, 16)
        assert all(batch.fresh for batch in batches)
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


def test_random_windows_reach_both_ends_of_the_text() -> None:
    short = stream("windows", window=10, codes=CODES[:13])
    drawn = torch.cat([short.epoch(1, epoch, 8)[0].inputs[:, 0] for epoch in range(30)])
    # 13 symbols hold windows of 10 inputs and a target at 0, 1 and 2, and nowhere else.
    assert sorted(set(drawn.tolist())) == [0, 1, 2]


@pytest.mark.parametrize("length", [4, 101, 104, 1003])
def test_cold_windows_predict_every_symbol_once_from_fresh_states(length: int) -> None:
    cold = stream(codes=CODES[:length]).cold(rows=8)
    batches = list(cold.ordered())
    assert all(batch.fresh for batch in batches)
    assert max(batch.inputs.shape[1] for batch in batches) <= 10
    targets = torch.cat([batch.targets.flatten() for batch in batches])
    assert targets.tolist() == CODES[1:length].tolist()
    inputs = torch.cat([batch.inputs.flatten() for batch in batches])
    assert inputs.tolist() == CODES[: length - 1].tolist()
    assert cold.examples == length - 1


def test_a_part_stays_within_its_bounds() -> None:
    part = stream().part(100, 200)
    assert part.examples == 99
    for reading in ("streams", "windows"):
        batches = Stream(part.codes, 10, reading).epoch(1, 1, 4)
        assert min(int(batch.inputs.min()) for batch in batches) >= 100
        assert max(int(batch.targets.max()) for batch in batches) < 200
