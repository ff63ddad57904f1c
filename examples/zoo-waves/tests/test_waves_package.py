"""The wave task against a plain loop, trained on its sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from zoo_waves.task import Waves

import zoo
from zoo.errors import DataError, UsageError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    return zoo.train(
        "waves/lstm",
        out=tmp_path_factory.mktemp("runs") / "waves",
        settings={"epochs": 2, "learning_rate": 4e-3},
        threads=1,
        device="cpu",
        progress=False,
    )


def test_error_interval_and_baseline_are_those_of_a_plain_loop(run: zoo.Run) -> None:
    model = run.model
    tensors, learned = model.module.state_dict(), model.task.state_dict()
    rnn = nn.LSTM(3, 64, batch_first=True)
    rnn.load_state_dict(
        {k.removeprefix("rnn."): v for k, v in tensors.items() if k.startswith("rnn.")}
    )
    split: Any = model.task.prepare(None, seed=1, fit=False).splits["test"]
    errors, means, squares = [], [], []
    for vector, length in zip(split.vectors, split.lengths, strict=True):
        frequency, phase, decay = map(float, vector)
        t = np.arange(length)
        wave = np.exp(-decay * t) * np.sin(2 * np.pi * (frequency * t + phase))
        steps = torch.zeros(1, length, 3)
        steps[0, 0] = torch.tensor((vector - np.array(learned["mean"])) / np.array(learned["std"]))
        with torch.inference_mode():
            generated = rnn(steps)[0][0] @ tensors["fc.weight"][0] + tensors["fc.bias"]
        errors.append(np.mean((generated.numpy() - wave) ** 2))
        means.append(np.mean(wave))
        squares.append(np.mean(wave**2))

    metrics = model.evaluate()
    assert metrics["examples"] == len(errors)
    assert metrics["mse"] == pytest.approx(np.mean(errors), rel=1e-4)
    assert metrics["baseline"] == pytest.approx(np.mean(squares) - np.mean(means) ** 2, rel=1e-4)
    half = 1.96 * np.std(errors, ddof=1) / np.sqrt(len(errors))
    assert metrics["mse_low"] == pytest.approx(np.mean(errors) - half, rel=1e-3)
    assert metrics["mse_high"] == pytest.approx(np.mean(errors) + half, rel=1e-3)
    assert metrics["mse_high"] < 0.5 * metrics["baseline"]


def test_waves_are_generated_from_vectors(run: zoo.Run) -> None:
    vectors = torch.tensor([[0.05, 0.25, 0.02], [0.1, 0.5, 0.0]])
    with torch.inference_mode():
        waves, _ = run.model.module(vectors, torch.tensor([30, 8]))
    t = np.arange(30)
    expected = np.exp(-0.02 * t) * np.cos(0.1 * np.pi * t)
    assert np.corrcoef(waves[0].numpy(), expected)[0, 1] > 0.8


def test_no_data_is_read_and_no_text_is_predicted(run: zoo.Run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="waves reads no data"):
        Waves(zoo.Options()).prepare(tmp_path, seed=1)
    with pytest.raises(UsageError, match="'waves/lstm' cannot predict"):
        run.model.predict(["0.05 0.25 0.02"])
