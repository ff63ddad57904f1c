"""Damped waves: a vector in, a sequence of numbers out, one-to-many."""

from __future__ import annotations

from zoo import TaskInfo, hookimpl


@hookimpl
def zoo_tasks() -> list[TaskInfo]:
    return [
        TaskInfo(
            name="waves",
            summary="The samples of a damped sine wave, given frequency, phase and decay",
            target="zoo_waves.task:Waves",
            monitor="mse",
            higher_is_better=False,
        )
    ]
