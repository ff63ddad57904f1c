"""Rows of different lengths: every row once, in an order that seed and epoch alone decide."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from zoo.data import ragged
from zoo.data.ragged import Ragged
from zoo.interfaces import Batch

ROWS = [[1 + (n * 7 + step) % 97 for step in range(1 + n * 13 % 37)] for n in range(230)]
TARGETS = list(range(len(ROWS)))


def split() -> Ragged:
    return Ragged.of(ROWS, TARGETS)


def held(batch: Batch) -> list[tuple[int, list[int]]]:
    """Return the target and the steps of each row, without padding of a batch."""
    return [
        (int(target), row[:length].tolist())
        for target, row, length in zip(batch.targets, batch.inputs, batch.lengths, strict=True)
    ]


def order(batches: ragged.Batches) -> list[list[int]]:
    return [batch.targets.tolist() for batch in batches]


@pytest.mark.parametrize("batch_size", [1, 32, 500])
def test_an_epoch_holds_every_row_exactly_once(batch_size: int) -> None:
    batches = split().train_batches(seed=3, epoch=1, batch_size=batch_size)
    found = [row for batch in batches for row in held(batch)]
    assert sorted(found) == list(enumerate(ROWS))
    assert max(len(batch.inputs) for batch in batches) <= batch_size


def test_every_row_is_there_when_pools_are_smaller_than_the_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ragged, "POOL_BATCHES", 3)
    batches = split().train_batches(seed=3, epoch=0, batch_size=16)
    assert sorted(row for batch in batches for row in held(batch)) == list(enumerate(ROWS))


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    batches = split().train_batches(seed=3, epoch=1, batch_size=16)
    first = order(batches)
    torch.manual_seed(99)
    np.random.seed(99)
    again = split().train_batches(seed=3, epoch=1, batch_size=16)
    # Out of order, as a resumed run reads them.
    assert [again[at].targets.tolist() for at in reversed(range(len(again)))] == first[::-1]
    assert order(split().train_batches(seed=3, epoch=2, batch_size=16)) != first
    assert order(split().train_batches(seed=4, epoch=1, batch_size=16)) != first


def test_each_epoch_puts_other_rows_together() -> None:
    def together(epoch: int) -> set[frozenset[Any]]:
        rows = Ragged.of([[1, 2]] * 64, range(64)).train_batches(seed=3, epoch=epoch, batch_size=8)
        return {frozenset(batch.targets.tolist()) for batch in rows}

    assert not together(0) & together(1)


def test_drawing_batches_leaves_the_global_generators_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].tolist()
    list(split().train_batches(seed=3, epoch=1, batch_size=16))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before[1]


def test_training_batches_hold_rows_of_similar_length_in_random_order() -> None:
    batches = list(split().train_batches(seed=3, epoch=1, batch_size=16))
    spread = [int(batch.lengths.max() - batch.lengths.min()) for batch in batches]
    assert max(spread) <= 8
    means = [float(batch.lengths.float().mean()) for batch in batches]
    assert means != sorted(means)


@pytest.mark.parametrize("limit", [64, 1 << 16])
def test_evaluation_holds_every_row_once_within_its_limit(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ragged, "EVALUATION_STEPS", limit)
    batches = split().eval_batches()
    assert sorted(row for batch in batches for row in held(batch)) == list(enumerate(ROWS))
    for batch in batches:
        assert batch.inputs.numel() <= limit or len(batch.inputs) == 1
    assert len(batches) > 1 or limit > 64


def test_rows_may_be_empty() -> None:
    cases: list[list[list[int]]] = [[[], [1, 2], []], [[], []]]
    for rows in cases:
        batches = Ragged.of(rows, range(len(rows))).eval_batches()
        assert sorted(row for batch in batches for row in held(batch)) == list(enumerate(rows))
        assert {batch.inputs.dtype for batch in batches} == {torch.int64}


def test_the_limit_of_evaluation_counts_padding() -> None:
    batches = Ragged.of([[1]] * 9000, range(9000)).eval_batches()
    assert [batch.inputs.shape for batch in batches] == [(4096, 16), (4096, 16), (808, 16)]


def test_rows_are_padded_on_the_right_with_zeros() -> None:
    batch = split().batch(np.array([5, 0, 9]))
    assert batch.inputs.dtype == torch.int64
    assert batch.reset_state
    for row, number in enumerate((5, 0, 9)):
        assert batch.inputs[row].tolist()[: len(ROWS[number])] == ROWS[number]
        assert (batch.inputs[row, len(ROWS[number]) :] == 0).all()


def test_batches_are_padded_to_multiples_of_16() -> None:
    widths = {batch.inputs.shape[1] for batch in split().train_batches(1, 0, 4)}
    assert widths == {16, 32, 48}
    assert len({len(row) for row in ROWS}) > 30


def test_targets_may_be_one_a_step() -> None:
    tags = [[step * 2 for step in row] for row in ROWS]
    batches = Ragged.of(ROWS, tags, per_step=True).train_batches(seed=1, epoch=0, batch_size=8)
    seen = 0
    for batch in batches:
        assert batch.targets.shape == batch.inputs.shape
        assert torch.equal(batch.targets, batch.inputs * 2)
        assert (batch.targets[batch.inputs == 0] == 0).all()
        seen += int(batch.lengths.sum())
    assert seen == sum(map(len, ROWS))


def test_rows_may_be_of_vectors() -> None:
    rows = [np.full((len(row), 2), n, dtype=np.float32) for n, row in enumerate(ROWS)]
    targets = np.arange(len(ROWS), dtype=np.float32)[:, None] / 2
    batch = Ragged.of(rows, targets).batch(np.array([7, 1]))
    assert batch.inputs.dtype == torch.float32
    assert batch.inputs.shape[2] == 2
    assert (batch.inputs[0, : len(ROWS[7])] == 7).all()
    assert (batch.inputs[1, len(ROWS[1]) :] == 0).all()
    assert batch.targets.tolist() == [[3.5], [0.5]]


@pytest.mark.parametrize("per_step", [False, True])
def test_select_keeps_rows_and_their_targets(per_step: bool) -> None:
    targets = [[n] * len(row) for n, row in enumerate(ROWS)] if per_step else TARGETS
    chosen = Ragged.of(ROWS, targets, per_step=per_step).select(np.array([8, 3]))
    assert chosen.num_examples == 2
    batch = chosen.batch(np.array([0, 1]))
    assert batch.inputs[0, : len(ROWS[8])].tolist() == ROWS[8]
    first = batch.targets[:, 0] if per_step else batch.targets
    assert first.tolist() == [8, 3]


def test_shuffling_steps_keeps_what_each_row_holds() -> None:
    whole = split()
    shuffled = whole.shuffle_steps(seed=1)
    numbers = np.arange(len(ROWS))
    before, after = dict(held(whole.batch(numbers))), dict(held(shuffled.batch(numbers)))
    assert {n: Counter(row) for n, row in after.items()} == {
        n: Counter(row) for n, row in enumerate(ROWS)
    }
    assert before == dict(enumerate(ROWS))
    long = [n for n, row in enumerate(ROWS) if len(row) > 8]
    assert sum(before[n] != after[n] for n in long) > 0.9 * len(long)
    assert dict(held(whole.shuffle_steps(seed=1).batch(numbers))) == after
    assert dict(held(whole.shuffle_steps(seed=2).batch(numbers))) != after


def test_shuffling_steps_moves_their_targets_with_them() -> None:
    tags = [[step * 2 for step in row] for row in ROWS]
    shuffled = Ragged.of(ROWS, tags, per_step=True).shuffle_steps(seed=1)
    batch = shuffled.batch(np.arange(len(ROWS)))
    assert torch.equal(batch.targets, batch.inputs * 2)
    assert not torch.equal(batch.inputs, split().batch(np.arange(len(ROWS))).inputs)
