"""Language models: the next character or the next word of a text, many-to-many in step."""

from __future__ import annotations

from pathlib import Path

import zoo
from zoo_lm.options import CharLMOptions, WordBiLMOptions, WordLMOptions


@zoo.hookimpl
def zoo_tasks() -> list[zoo.TaskInfo]:
    return [
        zoo.TaskInfo(
            name="char-lm",
            summary="The next character of a text: any text file, or a Gutenberg book",
            target="zoo_lm.char_task:CharLM",
            runtime="zoo_lm.char_runtime:CharLM",
            options=CharLMOptions,
            monitor="loss",
            higher_is_better=False,
            needs_causal=True,
            suggest="zoo_lm.suggest:suggest_text",
            for_any_data=False,
            settings_from="zoo_lm.initial:char_settings",
        ),
        zoo.TaskInfo(
            name="word-lm",
            summary="The next word of texts: to generate from, or for a classifier to start from",
            target="zoo_lm.word_task:WordLM",
            runtime="zoo_lm.word_runtime:WordLM",
            options=WordLMOptions,
            monitor="loss",
            higher_is_better=False,
            needs_causal=True,
            settings_from="zoo_lm.initial:word_settings",
            settings={
                "hidden_size": 256,
                "embed_size": 128,
                "task.dropout": 0.2,
                "bptt_steps": 70,
                "batching": "contiguous",
                "epochs": 5,
                "batch_size": 64,
                "optimizer": "adamw",
                "learning_rate": 3e-3,
                "schedule": "cosine",
                "warmup": 0.05,
                "clip_norm": 1.0,
            },
        ),
        zoo.TaskInfo(
            name="word-bilm",
            summary="The words after and before each word: for a bidirectional classifier",
            target="zoo_lm.bidirectional_task:WordBiLM",
            options=WordBiLMOptions,
            monitor="loss",
            higher_is_better=False,
            needs_bidirectional=True,
            settings_from="zoo_lm.initial:word_settings",
            settings={
                "hidden_size": 256,
                "embed_size": 128,
                "task.dropout": 0.2,
                "bptt_steps": 140,
                "batching": "contiguous",
                "epochs": 5,
                "batch_size": 32,
                "optimizer": "adamw",
                "learning_rate": 3e-3,
                "schedule": "cosine",
                "warmup": 0.05,
                "clip_norm": 1.0,
            },
        ),
    ]


@zoo.hookimpl
def zoo_commands() -> list[zoo.CommandInfo]:
    return [
        zoo.CommandInfo(
            name="dyneval",
            summary="Evaluate a language model that learns as it reads.",
            target="zoo_lm.dyneval_command:command",
        )
    ]


@zoo.hookimpl
def zoo_recipes() -> list[Path]:
    return [Path(__file__).with_name("recipes.toml")]
