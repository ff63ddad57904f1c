"""The options of the sequence-to-sequence task. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import zoo

UNITS = ("characters", "words")


@dataclass(frozen=True)
class Seq2SeqOptions(zoo.Options):
    """Options of :class:`zoo_seq2seq.task.Seq2Seq`."""

    source_units: str = zoo.option("characters", "what a token of the source is", choices=UNITS)
    target_units: str = zoo.option(
        "words", "what a token of the target is; words are separated by spaces", choices=UNITS
    )
    embed_size: int = zoo.option(32, "dimensions of the token embeddings", minimum=1)
    dropout: float = zoo.option(
        0.0, "dropout probability of the attentional vectors", minimum=0.0, maximum=0.99
    )
    max_tokens: int | None = zoo.option(
        None,
        "tokens after which decoding stops where no end was generated; none: twice the tokens of "
        "the longest target in the training split",
        minimum=1,
    )
