"""The forecasting task against plain loops: splits, windows, errors, predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from zoo_forecast.data import load, naive_forecast
from zoo_forecast.options import ForecastOptions
from zoo_forecast.task import Forecast

import zoo
from zoo.errors import DataError


class Builder:
    def __call__(self, input_size: int) -> torch.nn.Module:
        return zoo.create_model("gru", input_size, hidden_size=8)

    def submodel(self, name: str, input_size: int) -> torch.nn.Module:
        raise AssertionError(name)


@pytest.fixture
def counting(tmp_path: Path) -> Path:
    """A series of two columns: step t holds t and -2 t."""
    path = tmp_path / "counting.csv"
    rows = "".join(f"2024-01-01,{t},{-2 * t}\n" for t in range(400))
    path.write_text(f"date,up,down\n{rows}", encoding="utf-8")
    return path


def prepare(path: Path | None, **options: Any) -> tuple[Forecast, dict[str, Any]]:
    task = Forecast(ForecastOptions(**options))
    return task, dict(task.prepare(path, seed=1).splits)


def steps_of(task: Forecast, split: Any) -> tuple[set[int], list[int]]:
    """Return the steps of all windows of a split, and those that are forecast."""
    seen: set[int] = set()
    forecast: list[int] = []
    for batch in split.eval_batches():
        read, targets = (
            (values[..., 0].double() * task.std[0] + task.mean[0]).round().long()
            for values in (batch.inputs, batch.targets)
        )
        for row, future in zip(read.tolist(), targets.tolist(), strict=True):
            window = row + future
            assert window == list(range(window[0], window[0] + len(window)))
            seen.update(window)
            forecast += future
    return seen, forecast


def test_splits_follow_each_other_in_time_and_share_no_step(counting: Path) -> None:
    task, splits = prepare(counting, columns=("up", "down"), history=24, horizon=6)
    steps = {name: steps_of(task, split) for name, split in splits.items()}
    assert max(steps["train"][0]) < min(steps["validation"][0])
    assert max(steps["validation"][0]) < min(steps["test"][0])
    assert max(steps["test"][0]) <= 399
    for name in ("validation", "test"):
        forecast = steps[name][1]
        assert len(forecast) == len(set(forecast)) == 6 * splits[name].num_examples
    # Training statistics are those of the training steps alone.
    train = np.arange(280)
    assert task.mean == pytest.approx([train.mean(), -2 * train.mean()])
    assert task.std == pytest.approx([train.std(), 2 * train.std()])


def test_metrics_and_baselines_equal_a_plain_loop() -> None:
    task, splits = prepare(None, season=24, history=30, horizon=28)
    torch.manual_seed(1)
    network = task.network(Builder()).eval()
    (batch,) = splits["test"].eval_batches()
    with torch.inference_mode():
        metrics = task.metrics(task.step(network, batch, None).metric_sums)
        forecasts = network(batch.inputs, batch.lengths)[0].numpy()
    read, targets = batch.inputs.numpy(), batch.targets.numpy()
    errors, naive = [], []
    for row in range(len(batch)):
        for h in range(28):
            season = 24 if h < 24 else 48
            naive.append(float(read[row, 30 + h - season, 0] - targets[row, h, 0]))
            errors.append(float(forecasts[row, h, 0] - targets[row, h, 0]))
    assert metrics["examples"] == splits["test"].num_examples
    assert metrics["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    assert metrics["mae"] == pytest.approx(np.mean(np.abs(errors)))
    assert metrics["mae_load"] == pytest.approx(np.mean(np.abs(errors)) * task.std[0])
    assert metrics["baseline"] == pytest.approx(np.sqrt(np.mean(np.square(naive))))
    assert metrics["baseline_mae"] == pytest.approx(np.mean(np.abs(naive)))
    assert metrics["rmse_low"] < metrics["rmse"] < metrics["rmse_high"]


def test_naive_forecast_repeats_the_last_season_or_the_last_value() -> None:
    history = torch.arange(6.0).view(1, 6, 1)
    assert naive_forecast(history, 5, 3).flatten().tolist() == [3, 4, 5, 3, 4]
    assert naive_forecast(history, 3, None).flatten().tolist() == [5, 5, 5]


def test_prediction_is_in_the_units_of_the_data_and_takes_the_last_steps(counting: Path) -> None:
    task, _ = prepare(counting, columns=("up", "down"), history=24, horizon=6, head_sizes=(5, 4))
    torch.manual_seed(1)
    network = task.network(Builder()).eval()
    assert [layer.out_features for layer in network.hidden if hasattr(layer, "out_features")] == [
        5, 4
    ]  # fmt: skip
    line = " ".join(f"{t},{-2 * t}" for t in range(300, 330))
    with torch.inference_mode():
        # Without learned changes the last value is continued.
        network.fc.weight.zero_()
        network.fc.bias.copy_(torch.arange(12.0))
    (prediction,) = task.predict(network, [line])
    changes = np.arange(12.0).reshape(6, 2) * np.array(task.std)
    expected = np.array([329.0, -658.0]) + changes
    assert prediction.values == pytest.approx(expected.flatten(), rel=1e-5)
    with pytest.raises(DataError, match="at least 24 steps of 2 finite values"):
        list(task.predict(network, ["1 2 3 4"]))


def test_clip_limits_what_the_model_reads(counting: Path) -> None:
    task, splits = prepare(counting, columns=("up",), history=24, horizon=6, clip=0.5)
    torch.manual_seed(1)
    network = task.network(Builder()).eval()
    read = []
    network.rnn.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    batch = next(iter(splits["train"].eval_batches()))
    with torch.inference_mode():
        network(batch.inputs, batch.lengths)
    differences = batch.inputs - batch.inputs[:, -1:]
    np.testing.assert_array_equal(read[0].numpy(), np.clip(differences.numpy(), -0.5, 0.5))


def test_bad_options_and_bad_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="season is 24, and history"):
        ForecastOptions(history=12)
    path = tmp_path / "bad.csv"
    path.write_text("a,b\n1,2\n3,\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"column 'b' has '', .* in line 3 of {path}"):
        load(path, ())
    with pytest.raises(DataError, match="no column 'c'"):
        load(path, ("c",))
    assert load(path, ("a",))[1].tolist() == [[1.0], [3.0]]
    with pytest.raises(DataError, match="split has"):
        prepare(path, columns=("a",))
