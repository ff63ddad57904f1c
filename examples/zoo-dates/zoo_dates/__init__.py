"""Date normalization: an encoder reads a date, a decoder writes it as ISO 8601 does."""

from __future__ import annotations

import zoo
from zoo_dates.options import DatesOptions


@zoo.hookimpl
def zoo_tasks() -> list[zoo.TaskInfo]:
    return [
        zoo.TaskInfo(
            name="dates",
            summary="Written dates to ISO 8601: 'the third of March 1986' to '1986-03-03'",
            target="zoo_dates.task:Dates",
            options=DatesOptions,
            monitor="accuracy",
            higher_is_better=True,
            # The decoder generates one character at a time and cannot read ahead.
            needs_causal=True,
        )
    ]
