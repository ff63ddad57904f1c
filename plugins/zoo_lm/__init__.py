"""Character language model: the next character of a text, many-to-many in step."""

from __future__ import annotations

from pathlib import Path

import zoo
from zoo_lm.options import CharLMOptions


@zoo.hookimpl
def zoo_tasks() -> list[zoo.TaskInfo]:
    return [
        zoo.TaskInfo(
            name="char-lm",
            summary="The next character of a text: any text file, or a Gutenberg book",
            target="zoo_lm.char_task:CharLM",
            options=CharLMOptions,
            monitor="loss",
            higher_is_better=False,
            needs_causal=True,
        )
    ]


@zoo.hookimpl
def zoo_commands() -> list[zoo.CommandInfo]:
    return [
        zoo.CommandInfo(
            name="evaluate-dynamic",
            summary="Evaluate a language model that learns as it reads.",
            target="zoo_lm.dynamic_command:command",
        )
    ]


@zoo.hookimpl
def zoo_recipes() -> list[Path]:
    return [Path(__file__).with_name("recipes.toml")]
