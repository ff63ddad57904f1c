"""Sequence to sequence with attention: outputs of any length, such as translations."""

from __future__ import annotations

from pathlib import Path

import zoo
from zoo_seq2seq.options import Seq2SeqOptions


@zoo.hookimpl
def zoo_tasks() -> list[zoo.TaskInfo]:
    return [
        zoo.TaskInfo(
            name="seq2seq",
            summary="A sequence of any length from another one, with attention; sample: "
            "numbers in words",
            target="zoo_seq2seq.task:Seq2Seq",
            options=Seq2SeqOptions,
            monitor="accuracy",
            higher_is_better=True,
            submodels={
                "decoder": zoo.Submodel(
                    "generates the target, one token at a time", default="gru", needs_causal=True
                )
            },
        )
    ]


@zoo.hookimpl
def zoo_recipes() -> list[Path]:
    return [Path(__file__).with_name("recipes.toml")]
