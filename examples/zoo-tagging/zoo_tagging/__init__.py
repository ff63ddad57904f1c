"""Sequence tagging: a tag for every word of a sentence, many-to-many in step."""

from __future__ import annotations

from zoo import Option, TaskInfo, hookimpl


@hookimpl
def zoo_tasks() -> list[TaskInfo]:
    return [
        TaskInfo(
            name="tagging",
            summary="The part of speech of every word of a sentence",
            target="zoo_tagging.task:Tagging",
            monitor="accuracy",
            higher_is_better=True,
            options={
                "embed_size": Option(32, "numbers in a word's vector", minimum=1),
                "word_dropout": Option(
                    0.05, "share of words made unknown in training", minimum=0.0, maximum=0.99
                ),
            },
        )
    ]
