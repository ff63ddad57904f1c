"""Damped waves: a vector in, a sequence of numbers out, one-to-many."""

from __future__ import annotations

import zoo


@zoo.hookimpl
def zoo_tasks() -> list[zoo.TaskInfo]:
    return [
        zoo.TaskInfo(
            name="waves",
            summary="The samples of a damped sine wave, given frequency, phase and decay",
            target="zoo_waves.task:Waves",
            monitor="mse",
            higher_is_better=False,
        )
    ]
