"""The options of the forecasting task. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import zoo


@dataclass(frozen=True)
class ForecastOptions(zoo.Options):
    """Options of :class:`zoo_forecast.task.Forecast`."""

    columns: tuple[str, ...] = zoo.option(
        (), "columns of the CSV file that are read and forecast; empty: all"
    )
    history: int = zoo.option(48, "steps that a forecast is made from", minimum=1)
    horizon: int = zoo.option(12, "steps that are forecast", minimum=1)
    season: int | None = zoo.option(
        24,
        "steps after which the series repeats, for the baseline; none: the baseline is the last "
        "value",
        minimum=1,
    )
    head_sizes: tuple[int, ...] = zoo.option(
        (64,), "units of the hidden layers between model and forecast; empty: none", minimum=1
    )
    dropout: float = zoo.option(
        0.0, "dropout probability of the hidden layers", minimum=0.0, maximum=0.99
    )
    clip: float | None = zoo.option(
        None,
        "largest difference from the last value that the model reads, in standard deviations; "
        "none: no limit",
        minimum=0.1,
    )
    validation_size: float = zoo.option(
        0.15, "share of the steps, before the test split, for validation", minimum=0.01, maximum=0.4
    )
    test_size: float = zoo.option(
        0.15, "share of the steps, at the end, for the test split", minimum=0.01, maximum=0.4
    )

    def validate(self) -> None:
        """Refuse a season that the history does not hold."""
        if self.season is not None and self.season > self.history:
            raise ValueError(
                f"season is {self.season}, and history, which has to hold one, is {self.history}"
            )
