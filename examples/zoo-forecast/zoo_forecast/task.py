"""The forecasting task: the next values of a series."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from zoo.errors import DataError
from zoo.interfaces import (
    Batch,
    BuildModel,
    Data,
    Metrics,
    MetricSums,
    State,
    Step,
    Task,
    ValuesPrediction,
)
from zoo.intervals import mean_interval
from zoo_forecast.data import FloatArray, WindowSplit, load, naive_forecast
from zoo_forecast.network import Forecaster
from zoo_forecast.options import ForecastOptions


class Forecast(Task):
    """Many-to-many, numbers to numbers: the next ``horizon`` steps from ``history`` steps.

    Args:
        options: See ``zoo show forecast``.
    """

    def __init__(self, options: ForecastOptions) -> None:
        self.options = options
        self.columns: list[str] = []
        self.mean: list[float] = []
        self.std: list[float] = []

    # Data

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Cut a series into splits, in the order of time, and splits into windows.

        No window reaches into another split. Windows of training start at every step. Those of
        evaluation start ``horizon`` steps apart, so that each step is forecast once at most.
        """
        del seed  # Nothing is drawn: the order of time decides.
        options = self.options
        names, values, digest = load(path, options.columns)
        if not fit and names != self.columns:
            raise DataError(
                f"columns {', '.join(names)}",
                where=str(path or "the sample"),
                why=f"the network forecasts {', '.join(self.columns)}",
                fix="give a file with these columns",
            )
        steps = len(values)
        test = steps - round(steps * options.test_size)
        validation = test - round(steps * options.validation_size)
        if fit:
            self._fit(names, values[:validation])
        series = self._standardize(values)

        def window(first: int, after: int, stride: int) -> WindowSplit:
            return WindowSplit(series[first:after], options.history, options.horizon, stride)

        splits = {
            "train": window(0, validation, 1),
            "validation": window(validation, test, options.horizon),
            "test": window(test, steps, options.horizon),
            "all": window(0, steps, options.horizon),
        }
        for name, split in splits.items():
            if not split.num_examples:
                raise DataError(
                    f"{name} split has {len(split.series)} steps",
                    where=str(path or "the sample"),
                    why=f"a window takes {options.history} + {options.horizon}",
                    fix="give a longer series, or set history and horizon lower",
                )
        source = path.name if path else "the sample"
        return Data(splits, digest, f"{steps} steps of {', '.join(names)} of {source}")

    def _fit(self, names: list[str], values: FloatArray) -> None:
        """Learn mean and standard deviation of each column from the steps (N, F) of training."""
        if not len(values):
            raise DataError("the training split is empty", fix="give a longer series")
        std = values.std(0)
        self.columns, self.mean = names, values.mean(0).tolist()
        self.std = np.where(std > 0, std, 1.0).tolist()

    def _standardize(self, values: FloatArray) -> FloatArray:
        standardized: FloatArray = (values - np.array(self.mean)) / np.array(self.std)
        return standardized.astype(np.float32)

    # Network

    def state_dict(self) -> dict[str, Any]:
        return {"columns": self.columns, "mean": self.mean, "std": self.std}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, kind in (("columns", str), ("mean", float), ("std", float)):
            values = state[name]
            if not isinstance(values, list) or not all(type(value) is kind for value in values):
                raise ValueError(f"{name} is not a list of {kind.__name__} values")
        if not len(state["columns"]) == len(state["mean"]) == len(state["std"]):
            raise ValueError("columns, mean and std differ in length")
        self.columns, self.mean, self.std = (state[name] for name in ("columns", "mean", "std"))

    def network(self, build_model: BuildModel) -> Forecaster:
        return Forecaster(build_model, self.options, len(self.columns))

    # Training

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        forecasts, _ = network(batch.inputs, batch.lengths)
        naive = naive_forecast(batch.inputs, self.options.horizon, self.options.season)
        errors, naive_errors = forecasts - batch.targets, naive - batch.targets
        squares = errors.square().mean((1, 2))
        absolutes = errors.detach().abs()
        sums = {
            "examples": torch.tensor(len(batch)),
            "squared": squares.detach().sum(),
            "squared_squared": squares.detach().square().sum(),
            "absolute": absolutes.mean((1, 2)).sum(),
            "column_absolute": absolutes.mean(1).sum(0),
            "naive_squared": naive_errors.square().mean((1, 2)).sum(),
            "naive_absolute": naive_errors.abs().mean((1, 2)).sum(),
        }
        return Step(squares.mean(), sums, outputs=forecasts.detach())

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        """Return RMSE with its interval and MAE, and those of the naive forecast as baselines.

        They are means over windows, steps and columns, in standard deviations of each column in
        the training split. ``mae_COLUMN`` is in the units of the column. The interval takes
        windows to be independent, which those of evaluation, that share no forecast, nearly are.
        """
        examples = float(metric_sums["examples"])
        mean = {name: value / examples for name, value in metric_sums.items()}
        squared = float(metric_sums["squared"])
        low, high = mean_interval(squared, float(metric_sums["squared_squared"]), examples)
        # One window has no interval.
        interval = {"rmse_low": math.sqrt(max(low, 0.0)), "rmse_high": math.sqrt(high)}
        columns = zip(self.columns, mean["column_absolute"].tolist(), self.std, strict=True)
        return {
            "examples": int(examples),
            "rmse": math.sqrt(squared / examples),
            **(interval if math.isfinite(high) else {}),
            "baseline": float(mean["naive_squared"].sqrt()),
            "mae": float(mean["absolute"]),
            "baseline_mae": float(mean["naive_absolute"]),
            **{f"mae_{name}": error * std for name, error, std in columns},
        }

    def probe(self) -> Batch:
        """Return two windows of different lengths."""
        steps = torch.linspace(-2, 2, 12)[:, None].expand(-1, len(self.columns))
        inputs = torch.stack((steps, -steps))
        inputs[1, 5:] = 0.0
        targets = torch.zeros(2, self.options.horizon, len(self.columns))
        return Batch(inputs, torch.tensor([12, 5]), targets)

    # Use

    def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterator[ValuesPrediction]:
        """Yield the values that follow each text: numbers separated by spaces, commas or both.

        A text holds the last ``history`` steps or more. Where there are several columns the
        values of a step stand together, in the text and in the prediction.

        Raises:
            DataError: A text is not of that form; the message names it.
        """
        for text in texts:
            window = self._standardize(self._parse(text))[-self.options.history :]
            yield ValuesPrediction(text, self._forecast(network, window))

    @torch.inference_mode()
    def _forecast(self, network: nn.Module, window: FloatArray) -> tuple[float, ...]:
        device = next(network.parameters()).device
        inputs = torch.from_numpy(window)[None].to(device)
        forecast, _ = network(inputs, torch.tensor([len(window)], device=device))
        values = forecast[0].double().cpu().numpy() * np.array(self.std) + np.array(self.mean)
        return tuple(values.flatten().tolist())

    def _parse(self, text: str) -> FloatArray:
        columns, history = len(self.columns), self.options.history
        try:
            values = np.array([float(number) for number in text.replace(",", " ").split()])
        except ValueError as error:
            raise DataError(
                "not a line of numbers", where=repr(text[:40]), why=str(error)
            ) from error
        if (
            len(values) % columns
            or len(values) < history * columns
            or not np.isfinite(values).all()
        ):
            raise DataError(
                f"{len(values)} values",
                where=repr(text[:40]),
                why=f"a forecast needs at least {history} steps of {columns} finite values "
                f"({', '.join(self.columns)})",
            )
        return values.reshape(-1, columns)
