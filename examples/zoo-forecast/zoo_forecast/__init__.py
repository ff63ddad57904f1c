"""Forecasting: the next values of a series of numbers from those before."""

from __future__ import annotations

import zoo
from zoo_forecast.options import ForecastOptions


@zoo.hookimpl
def zoo_tasks() -> list[zoo.TaskInfo]:
    return [
        zoo.TaskInfo(
            name="forecast",
            summary="The next values of a series with one or more columns, from a CSV file",
            target="zoo_forecast.task:Forecast",
            options=ForecastOptions,
            monitor="rmse",
            higher_is_better=False,
        )
    ]
