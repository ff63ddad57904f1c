"""Gradient accumulation: several batches a step, against plain torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from sum_task import INPUT_SIZE, Recorder, batches_of, registered
from torch import Tensor, nn

import zoo
from zoo.interfaces import Batch

Train = Callable[..., zoo.Run]
RATE = 0.1
SGD = ("hidden_size=3", "optimizer=sgd", f"learning_rate={RATE}", "log_every=1")


@pytest.fixture(autouse=True)
def sum_task() -> Iterator[None]:
    with registered():
        yield


def by_hand(start: dict[str, Tensor], groups: Sequence[Sequence[Batch]]) -> dict[str, Tensor]:
    """Gradient descent on the mean of the losses of each group of batches, in float64."""
    rnn, fc = nn.LSTM(INPUT_SIZE, 3, batch_first=True), nn.Linear(3, 1)
    network = nn.ModuleDict({"rnn": rnn, "fc": fc}).double()
    network.load_state_dict(start)
    for group in groups:
        losses = []
        for batch in group:
            outputs, _ = rnn(batch.inputs.double())
            losses.append(nn.functional.mse_loss(fc(outputs[:, -1])[:, 0], batch.targets.double()))
        gradients = torch.autograd.grad(torch.stack(losses).mean(), list(network.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter.sub_(RATE * gradient)
    return dict(network.state_dict())


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name].double(), value.double(), atol=1e-6, rtol=0)


def test_two_batches_of_32_make_the_step_of_one_of_64(train_here: Train, tmp_path: Path) -> None:
    after = {}
    for batch_size, accumulate in ((64, 1), (32, 2)):
        recorder = Recorder()
        train_here(
            "sum/lstm", tmp_path / str(batch_size), *SGD, "steps=2", f"batch_size={batch_size}",
            f"accumulate={accumulate}", callbacks=[recorder],
        )  # fmt: skip
        after[batch_size] = recorder.parameters
    assert_close(after[64][0], after[32][0])
    assert_close(after[64][2], after[32][2])
    assert_close(
        after[32][2],
        by_hand(after[32][0], [[batch] for batch in batches_of(recorder.data, 64)[:2]]),
    )


def test_an_incomplete_group_is_averaged_over_its_own_batches(
    train_here: Train, tmp_path: Path
) -> None:
    recorder = Recorder()
    train_here(
        "sum/lstm", tmp_path / "run", *SGD, "epochs=1", "batch_size=32", "accumulate=3",
        callbacks=[recorder],
    )  # fmt: skip
    batches = batches_of(recorder.data, 32)
    assert len(batches) == 5
    assert len(recorder.parameters) == 3
    assert_close(
        recorder.parameters[-1], by_hand(recorder.parameters[0], [batches[:3], batches[3:]])
    )


def test_steps_schedules_and_epochs_count_optimizer_steps(
    train_here: Train, tmp_path: Path
) -> None:
    recorder = Recorder()
    run = train_here(
        "sum/lstm", tmp_path / "run", *SGD, "epochs=3", "batch_size=16", "accumulate=4",
        "schedule=linear", callbacks=[recorder],
    )  # fmt: skip
    # Ten batches an epoch are three steps, the last of two batches.
    assert [evaluation["step"] for evaluation in recorder.evaluations] == [3, 6, 9]
    assert [log["learning_rate"] for log in recorder.logs] == pytest.approx(
        [RATE * (1 - step / 9) for step in range(9)]
    )
    assert [log["examples"] for log in recorder.logs] == [64, 64, 32] * 3
    assert run.model.info["metrics"]["validation"]["epoch"] in (1, 2, 3)


def test_steps_of_a_training_are_optimizer_steps(train_here: Train, tmp_path: Path) -> None:
    recorder = Recorder()
    train_here(
        "sum/lstm", tmp_path / "run", *SGD, "steps=4", "batch_size=32", "accumulate=2",
        callbacks=[recorder],
    )  # fmt: skip
    first, second, last = (batches_of(recorder.data, 32)[at : at + 2] for at in (0, 2, 4))
    assert len(recorder.parameters) == 5
    assert_close(
        recorder.parameters[-1], by_hand(recorder.parameters[0], [first, second, last, first])
    )


def test_gradients_are_clipped_once_a_step(train_here: Train, tmp_path: Path) -> None:
    recorder = Recorder()
    train_here(
        "sum/lstm", tmp_path / "run", *SGD, "steps=1", "batch_size=32", "accumulate=5",
        "clip_norm=0.001", callbacks=[recorder],
    )  # fmt: skip
    before, after = recorder.parameters
    squares = sum(float(((after[name] - before[name]) ** 2).sum()) for name in before)
    assert squares**0.5 == pytest.approx(RATE * 0.001, rel=1e-3)
