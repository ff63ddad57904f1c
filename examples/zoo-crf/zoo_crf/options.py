"""The options of the task. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import zoo


@dataclass(frozen=True)
class NEROptions(zoo.Options):
    """Options of :class:`zoo_crf.task.NER`."""

    validation_data: str = zoo.option(
        "", "file of the validation split; empty: a share of --data", is_path=True
    )
    test_data: str = zoo.option(
        "", "file of the test split; empty: a share of --data", is_path=True
    )
    validation_size: float = zoo.option(
        0.1,
        "share of the sentences for the validation split, where it has no file",
        minimum=0.01,
        maximum=0.5,
    )
    test_size: float = zoo.option(
        0.1,
        "share of the sentences for the test split, where it has no file; 0: there is none",
        minimum=0.0,
        maximum=0.5,
    )
    scheme: str = zoo.option(
        "bio", "tags that the network predicts; files may have others", choices=("bio", "bioes")
    )
    output: str = zoo.option(
        "constrained-crf",
        "how tags are predicted; softmax: each by itself; crf: with scores of transitions; "
        "constrained-crf: also without the transitions that the scheme forbids",
        choices=("softmax", "crf", "constrained-crf"),
    )
    embed_size: int = zoo.option(32, "dimensions of the vector of a word", minimum=1)
    buckets: int = zoo.option(
        8192, "vectors that the hashed prefixes, suffixes and shapes of words share", minimum=1
    )
    word_dropout: float = zoo.option(
        0.1,
        "probability that a word is replaced by the unknown word in training",
        minimum=0.0,
        maximum=0.99,
    )
    dropout: float = zoo.option(
        0.3, "dropout probability of word vectors and of the model's outputs",
        minimum=0.0, maximum=0.99,
    )  # fmt: skip
