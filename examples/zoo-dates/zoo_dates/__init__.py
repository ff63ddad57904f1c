"""Date normalisation: read a written date, then write it anew, many-to-many delayed."""

from __future__ import annotations

from zoo import Option, TaskInfo, hookimpl


@hookimpl
def zoo_tasks() -> list[TaskInfo]:
    return [
        TaskInfo(
            name="dates",
            summary="Written dates to ISO 8601: 'the third of March 1986' to '1986-03-03'",
            target="zoo_dates.task:Dates",
            monitor="accuracy",
            higher_is_better=True,
            # The decoder writes a character at a time and cannot read ahead.
            needs_causal=True,
            options={"embed_size": Option(32, "numbers in a character's vector", minimum=1)},
        )
    ]
