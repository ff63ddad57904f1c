"""Sequence tagging: a tag for every word of a sentence, many-to-many in step."""

from __future__ import annotations

import zoo
from zoo_tagging.options import TaggingOptions


@zoo.hookimpl
def zoo_tasks() -> list[zoo.TaskInfo]:
    return [
        zoo.TaskInfo(
            name="tagging",
            summary="The part of speech of every word of a sentence",
            target="zoo_tagging.task:Tagging",
            options=TaggingOptions,
            monitor="accuracy",
            higher_is_better=True,
        )
    ]
