"""How numbers are predicted: beside the true ones, and how far off."""

from __future__ import annotations

import numpy as np

from zoo.interfaces import Outcomes
from zoo_report.charts import bars, scatter
from zoo_report.parts import Figure, Note, Section, number

POINTS = 2000
_BINS = 31


def section(outcomes: Outcomes) -> Section | None:
    """Return charts of predicted against true numbers; None where one is not finite."""
    true, predicted = outcomes.targets, outcomes.predicted
    if not len(true) or not np.isfinite(predicted).all():
        return None
    residuals = predicted - true
    kept = np.unique(np.linspace(0, len(true) - 1, POINTS).round().astype(int))
    some = f" {len(kept):,} of {len(true):,} examples are drawn." if len(kept) < len(true) else ""
    reach = float(np.abs(residuals).max()) or 1.0
    counts, edges = np.histogram(residuals, bins=_BINS, range=(-reach, reach))
    return Section(
        "Numbers",
        [
            Figure(
                "Predicted and true",
                scatter(
                    true[kept].tolist(), predicted[kept].tolist(), x_label="true",
                    y_label="predicted", title="Predicted against true numbers",
                ),
                f"Right answers are on the diagonal.{some}",
            ),
            Figure(
                "Residuals",
                bars(
                    edges.tolist(), counts.tolist(), x_label="predicted - true",
                    y_label="examples", title="How many examples have which residual",
                ),
                f"Mean {number(float(residuals.mean()))}, "
                f"standard deviation {number(float(residuals.std()))}.",
            ),
            Note("A mean far from 0 says that predictions are too high or too low altogether."),
        ],
    )  # fmt: skip
