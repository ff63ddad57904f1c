"""The options of the tagging task. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import zoo


@dataclass(frozen=True)
class TaggingOptions(zoo.Options):
    """Options of :class:`zoo_tagging.task.Tagging`."""

    embed_size: int = zoo.option(32, "dimensions of the word embedding", minimum=1)
    word_dropout: float = zoo.option(
        0.05,
        "probability that a word is replaced by the unknown word in training",
        minimum=0.0,
        maximum=0.99,
    )
