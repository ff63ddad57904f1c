"""What to train on a file of texts: task, model and settings, by looking at it. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo import Suggestion
from zoo.interfaces import RowNames
from zoo_text.languages import choose_tokens, is_english, mean_words
from zoo_text.options import TextOptions
from zoo_text.shards.finding import find_shards
from zoo_text.shards.layout import sample
from zoo_text.tables import LabeledTexts, load_columns, load_table, looks_like_table
from zoo_text.tables.labels import is_number
from zoo_text.tokens import tokenize

INITIAL_WEIGHTS = "reviews-lm"
"""A recipe: a language model of English reviews that a training on English texts starts from."""

FINE_TUNING: Mapping[str, Any] = {
    "task.ngram_weight": 0.3,
    "task.encoder_learning_rate": 0.25,
    "task.word_dropout": 0.15,
    "task.embed_dropout": 0.3,
    "training.learning_rate": 1e-3,
}
"""Settings of a training that starts from other weights."""

# For INITIAL_WEIGHTS: training texts and their tokens, at least and at most; words of a text on
# average; and the share of the words that the weights know.
_FEWEST, _MOST, _SHORTEST, _KNOWN = 20, 300_000, 3, 0.92

# Texts by which the last one is estimated.
_SAMPLE = 2000

# Texts and tokens that a training reads, and tokens that a word is, with punctuation marks.
_TEXTS, _TOKENS, _TOKENS_A_WORD = 100_000, 2_500_000, 1.2


def suggest_classification(path: Path | None, options: TextOptions) -> Suggestion | None:
    """Suggest for texts with one label each; None for other data."""
    source, number = _read(path, options)
    is_ours = source is not None and source.kind == "classes"
    return suggest_for(source, options, number) if source and is_ours else None


def suggest_multilabel(path: Path | None, options: TextOptions) -> Suggestion | None:
    """Suggest for texts with several labels; None for other data."""
    source, number = _read(path, options)
    is_ours = source is not None and source.kind == "multilabel"
    return suggest_for(source, options, number) if source and is_ours else None


def suggest_regression(path: Path | None, options: TextOptions) -> Suggestion | None:
    """Suggest for texts with a number each; None for other data.

    A few numbers, such as stars, are classes unless the task is named.
    """
    source, number = _read(path, options)
    if source is None or source.kind == "multilabel":
        return None
    if source.kind == "numbers":
        return suggest_for(source, options, number)
    if options.labels == "auto" and all(is_number(name, comma=False) for name in source.names):
        found = suggest_for(source, options, number)
        return replace(found, settings={**found.settings, "task.labels": "numbers"})
    return None


def _read(path: Path | None, options: TextOptions) -> tuple[LabeledTexts | None, int]:
    """Return texts, or the first of each shard, and how many times as many there are."""
    if (shards := find_shards(path)) is not None:
        found = sample(shards, options)
        if found.form.name == "text":
            return None, 1
        source = load_columns(found.table.columns, options, seed=1, kind=options.labels)
        return source, max(1, found.num_rows // len(found.table.lines))
    if path is None or not looks_like_table(path):
        return None, 1
    return load_table(path, options, seed=1, kind=options.labels, keep=True), 1


def suggest_for(source: LabeledTexts, options: TextOptions, times: int = 1) -> Suggestion:
    """Return model and settings that suit texts, of which there are ``times`` as many."""
    train = [source.texts[row] for row in np.flatnonzero(source.part == 0)]
    found = ("text_column", "label_column", "labels")
    settings: dict[str, Any] = {f"task.{name}": source.resolved[name] for name in found}
    # Other than the default one is what the user asks for.
    tokens = choose_tokens(train) if options.tokens == "subwords" else options.tokens
    settings["task.tokens"] = tokens
    length = mean_words(train) * _TOKENS_A_WORD
    if tokens == "characters":
        length = sum(map(len, train)) / max(len(train), 1)
    length = min(length, options.max_tokens or length)
    settings |= training_settings(times * len(train), len(source.names), length)
    if mean_words(train) < 3:
        settings["task.word_dropout"] = 0.1
    init = INITIAL_WEIGHTS if may_start_from_weights(train, times * length) else ""
    return Suggestion(
        "bilstm", settings, init=init, init_settings=FINE_TUNING,
        suits=lambda rows: known_share(_words(train), rows) >= _KNOWN,
    )  # fmt: skip


def may_start_from_weights(texts: Sequence[str], length: float) -> bool:
    """Return whether a training may start from :data:`INITIAL_WEIGHTS`, by its texts alone.

    Their network is larger than that of a training from scratch, and needs epochs that a default
    has no time for where there are more tokens: on 3,000 reviews it scored less, see
    docs/own-data.md.

    Args:
        texts: Of the training split.
        length: Tokens of a text, on average.
    """
    enough = len(texts) >= _FEWEST and len(texts) * length <= _MOST
    return enough and mean_words(texts) >= _SHORTEST and is_english(texts)


def _words(texts: Sequence[str]) -> list[str]:
    """Return the words of a sample of texts."""
    return [word for text in texts[:_SAMPLE] for word in tokenize(text)]


def known_share(tokens: Sequence[str], rows: Mapping[str, RowNames]) -> float:
    """Return the share of tokens, words or characters, that other weights have a vector for.

    Args:
        tokens: Those of some texts; a string is its characters.
        rows: What rows of the weights stand for, by parameter.
    """
    vectors = rows.get("embedding.weight")
    known = set(vectors.names) if vectors else set()
    return sum(token in known for token in tokens) / max(len(tokens), 1)


def training_settings(num_texts: int, num_labels: int, length: float) -> dict[str, Any]:
    """Return epochs, batch size and learning rate for a training split.

    More labels take more epochs, and so do fewer texts; many or long texts have fewer, so that a
    training of up to some ten thousand texts takes about a minute on two processors. Chosen on
    held-out parts of the training files of four data sets, see docs/own-data.md.

    Args:
        num_texts: Texts of the split.
        num_labels: 0 for numbers.
        length: Tokens of a text, on average.
    """
    epochs = 6 + 1.5 * math.log2(max(num_labels, 2))
    epochs *= min(max(math.sqrt(5000 / max(num_texts, 1)), 1), 3)
    # More labels than 50 take longer: in the linear model, above all.
    texts = _TEXTS * min(50 / max(num_labels, 1), 1)
    affordable = min(_TOKENS / max(length, 1), texts) / max(num_texts, 1)
    least = 2 if num_texts <= _TEXTS else 1
    batch_size = 16 if num_texts < 2000 else 32 if num_texts < 8000 else 64
    return {
        "training.epochs": round(min(max(min(epochs, affordable), least), 30)),
        "training.batch_size": batch_size,
        "training.learning_rate": 3e-3 if num_texts < 8000 else 4e-3,
    }
