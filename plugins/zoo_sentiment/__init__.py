"""Sentiment of reviews: a label for a text, many-to-one."""

from __future__ import annotations

from zoo import Option, TaskInfo, hookimpl

_POOLINGS = ("last", "mean", "max", "last+mean+max")

_OPTIONS = {
    "input": Option("embedding", "how a word becomes a vector", choices=("embedding", "onehot")),
    "embed_size": Option(20, "numbers in a word's vector", minimum=1),
    "embed_std": Option(1.0, "spread of fresh word vectors: they are N(0, this)", minimum=0.0),
    "fc_size": Option(64, "units between the reading and the answer", minimum=1),
    "pooling": Option("last", "how the sequence is read", choices=_POOLINGS),
    "ngram_bits": Option(
        0,
        "buckets (as a power of two) of a linear path over words and pairs; 0: none",
        minimum=0,
        maximum=24,
    ),
    "word_dropout": Option(0.0, "share of words made unknown", minimum=0.0, maximum=0.99),
    "embed_dropout": Option(0.0, "share of embedded numbers dropped", minimum=0.0, maximum=0.99),
    "dropout": Option(0.0, "share of pooled numbers dropped", minimum=0.0, maximum=0.99),
    "max_tokens": Option(0, "words read of a text; 0: all", minimum=0),
    "keep": Option(
        "head", "which words of a longer text are read", choices=("head", "tail", "both")
    ),
    "min_count": Option(1, "times a word must occur to be known", minimum=1),
    "max_vocab": Option(0, "known words at most; 0: no limit", minimum=0),
    "vectors": Option("", "file of pretrained word vectors, a word and its numbers a line"),
    "validation": Option(0.2, "share of the training part held out", minimum=0.01, maximum=0.9),
    "test": Option(
        0.2, "share held out where the data has no test part", minimum=0.01, maximum=0.9
    ),
    "split": Option(
        "random", "what is held out together; film: all reviews of one", choices=("random", "film")
    ),
    "text_column": Option("text", "column of a table with the texts"),
    "label_column": Option("label", "column of a table with the labels"),
}


@hookimpl
def zoo_tasks() -> list[TaskInfo]:
    return [
        TaskInfo(
            name="sentiment",
            summary="Label of a review: IMDb, or any table of texts and labels",
            target="zoo_sentiment.task:Sentiment",
            monitor="accuracy",
            higher_is_better=True,
            options=_OPTIONS,
        )
    ]
