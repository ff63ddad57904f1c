"""The options of the sentiment task. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import zoo


@dataclass(frozen=True)
class SentimentOptions(zoo.Options):
    """Options of :class:`zoo_sentiment.task.Sentiment`."""

    input: str = zoo.option(
        "embedding",
        "how words are represented; onehot: as one-hot vectors, without an embedding",
        choices=("embedding", "onehot"),
    )
    embed_size: int = zoo.option(20, "dimensions of the word embedding", minimum=1)
    embed_std: float = zoo.option(1.0, "standard deviation of initial word vectors", minimum=0.0)
    fc_size: int = zoo.option(64, "units of the hidden linear layer", minimum=1)
    pooling: str = zoo.option(
        "last",
        "how the outputs of all steps become one vector",
        choices=("last", "mean", "max", "last+mean+max"),
    )
    ngram_bits: int = zoo.option(
        0,
        "size, as a power of two, of a hashed linear model of words and word pairs that is added "
        "to the logits; 0: none",
        minimum=0,
        maximum=24,
    )
    word_dropout: float = zoo.option(
        0.0, "probability that a word is replaced by <unk>", minimum=0.0, maximum=0.99
    )
    embed_dropout: float = zoo.option(
        0.0, "dropout probability of the embedding's output", minimum=0.0, maximum=0.99
    )
    dropout: float = zoo.option(
        0.0, "dropout probability of the pooled vector", minimum=0.0, maximum=0.99
    )
    max_tokens: int = zoo.option(0, "words of a text that are read; 0: all", minimum=0)
    truncation: str = zoo.option(
        "head",
        "which words of a longer text are read",
        choices=("head", "tail", "head+tail"),
        old_names=("keep",),
        old_values={"both": "head+tail"},
    )
    min_count: int = zoo.option(
        1, "occurrences in the training split that a word of the vocabulary needs", minimum=1
    )
    max_vocab: int = zoo.option(0, "largest number of words in the vocabulary; 0: all", minimum=0)
    vectors: str = zoo.option(
        "", "file of pretrained word vectors: on each line a word and its elements"
    )
    validation_size: float = zoo.option(
        0.2,
        "share of the training data for the validation split",
        minimum=0.01,
        maximum=0.9,
        old_names=("validation",),
    )
    test_size: float = zoo.option(
        0.2,
        "share of the data for the test split, where the data has none",
        minimum=0.01,
        maximum=0.9,
        old_names=("test",),
    )
    split: str = zoo.option(
        "random",
        "how examples are assigned to splits; film: all reviews of a film to the same one",
        choices=("random", "film"),
    )
    text_column: str = zoo.option("text", "column of a table that has the texts")
    label_column: str = zoo.option("label", "column of a table that has the labels")

    def validate(self) -> None:
        if self.vectors and self.input == "onehot":
            raise ValueError("vectors are for input=embedding, and input is onehot")
