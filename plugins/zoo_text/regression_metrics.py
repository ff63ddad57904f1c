"""Metrics of predicted numbers, computed over a whole split."""

from __future__ import annotations

import numpy as np

from zoo.interfaces import Batch, Metrics, Step
from zoo.intervals import mean_interval
from zoo_text.collecting import Collector


class RegressionMetrics:
    """Metrics of numbers, in the unit of the targets.

    Args:
        mean: Mean of the training's targets; None: of what is evaluated.
    """

    def __init__(self, *, mean: float | None = None) -> None:
        self._mean = mean
        self._collected = Collector()

    def update(self, batch: Batch, step: Step) -> None:
        """Add a batch.

        Args:
            batch: Its targets are (B,), floating point.
            step: ``outputs`` are predictions (B,) or (B, 1); ``baseline_outputs`` those of a
                linear baseline.
        """
        self._collected.update(batch, step)

    def compute(self) -> Metrics:
        """Return the metrics by name.

        ``mae`` is the mean absolute error, with the normal interval of a mean; ``rmse`` the root of
        the mean squared error; ``r2`` the coefficient of determination, which is left out where all
        targets are equal. Where a prediction is not finite, neither is ``mae``, and it is alone.
        """
        from sklearn.metrics import (
            mean_absolute_error,
            median_absolute_error,
            r2_score,
            root_mean_squared_error,
        )

        predicted = self._collected.outputs().double().flatten().numpy()
        targets = self._collected.targets().double().flatten().numpy()
        if not np.isfinite(predicted).all():
            return {"mae": float("nan")}
        values: Metrics = {}
        errors = np.abs(predicted - targets)
        values["mae"] = float(mean_absolute_error(targets, predicted))
        if len(targets) > 1:
            low, high = mean_interval(float(errors.sum()), float(errors @ errors), len(errors))
            values |= {"mae_low": max(low, 0.0), "mae_high": high}
        mean = targets.mean() if self._mean is None else self._mean
        baselines = {"mean": float(np.abs(targets - mean).mean())}
        if (linear := self._collected.baseline()) is not None:
            baselines["linear"] = float(np.abs(linear.double().flatten().numpy() - targets).mean())
        values["baselines"] = baselines
        values["rmse"] = float(root_mean_squared_error(targets, predicted))
        if len(targets) > 1 and np.ptp(targets) > 0:
            values["r2"] = float(r2_score(targets, predicted))
        values["median_absolute_error"] = float(median_absolute_error(targets, predicted))
        return values
