"""The options of the character language model task. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import zoo


@dataclass(frozen=True)
class CharLMOptions(zoo.Options):
    """Options of :class:`zoo_lm.char_task.CharLM`."""

    input: str = zoo.option(
        "embedding",
        "how characters are represented; onehot: as one-hot vectors, without an embedding",
        choices=("embedding", "onehot"),
    )
    embed_size: int = zoo.option(256, "dimensions of the character embedding", minimum=1)
    embed_dropout: float = zoo.option(
        0.0, "dropout probability of the embedding's output", minimum=0.0, maximum=0.99
    )
    dropout: float = zoo.option(
        0.0, "dropout probability of the model's output", minimum=0.0, maximum=0.99
    )
    bptt_steps: int = zoo.option(
        40,
        "steps that gradients flow back through",
        minimum=1,
        old_names=("window",),
        old_names_since="0.2",
        old_names_removed="1.0",
    )
    batching: str = zoo.option(
        "random",
        "how training reads the text: in contiguous rows with carried state, or in windows at "
        "random places, of which an epoch has as many as the text has characters",
        choices=("contiguous", "random"),
        old_names=("reading",),
        old_names_since="0.2",
        old_names_removed="1.0",
        old_values={"streams": "contiguous", "windows": "random"},
    )
    start: str = zoo.option("", "marker that the text starts with; empty: from the beginning")
    end: str = zoo.option("", "marker that the text ends before; empty: to the end")
    validation_size: float = zoo.option(
        0.05,
        "share of the text, before the test split, for the validation split",
        minimum=1e-6,
        maximum=0.4,
        old_names=("validation",),
        old_names_since="0.2",
        old_names_removed="1.0",
    )
    test_size: float = zoo.option(
        0.1,
        "share of the text, at its end, for the test split",
        minimum=1e-6,
        maximum=0.4,
        old_names=("test",),
        old_names_since="0.2",
        old_names_removed="1.0",
    )
