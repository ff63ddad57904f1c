"""What to train on a plain text, by looking at it. No torch here."""

from __future__ import annotations

import codecs
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo import Suggestion
from zoo.data.text import blocks, cut
from zoo_lm.char_corpus import gutenberg_markers
from zoo_lm.options import CharLMOptions
from zoo_text.options import TextOptions
from zoo_text.shards.finding import find_shards
from zoo_text.shards.layout import sample
from zoo_text.suggest import known_share
from zoo_text.tables import looks_like_table
from zoo_text.tables.streams import (
    SUFFIXES_OF_COMPRESSION,
    compression,
    head,
    is_folder,
    looks_binary,
)

INITIAL_WEIGHTS = "reviews-char-lm"
"""A recipe: a language model of English reviews that a training on a plain text starts from."""

SETTINGS: Mapping[str, Any] = {
    "model.hidden_size": 512,
    "task.embed_size": 64,
    "task.embed_dropout": 0.1,
    "task.dropout": 0.3,
    "task.batching": "contiguous",
    "task.bptt_steps": 100,
    "task.window_steps": 256,
    "training.optimizer": "adamw",
    "training.learning_rate": 4e-3,
    "training.weight_decay": 0.01,
    "training.schedule": "cosine",
    "training.clip_norm": 1.0,
    "optimizer.beta2": 0.99,
    "scheduler.warmup": 0.1,
}
"""Settings that do not depend on the length of the text: those of the recipe island-lstm, not
averaged."""

# Least share of the characters of a text that INITIAL_WEIGHTS knows.
_KNOWN = 0.9
# UTF-16 has many zero bytes, as binary data has. What reads it says that it is not UTF-8.
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Labels in the files of fastText, which are no prose.
_FASTTEXT = b"__label__"
# How many times as long a compressed text is, about.
_RATIO = 3
# Epochs for a text of a million characters, and at most. They were chosen on the beginning of a
# novel, of 20,000, 100,000 and 1.1 million characters.
_EPOCHS, _MOST_EPOCHS = 4, 30
_EPOCHS_TUNED, _MOST_EPOCHS_TUNED = 2, 4


def suggest_text(path: Path | None, options: CharLMOptions) -> Suggestion | None:
    """Suggest for plain text in UTF-8, one file or several; None for other data, such as tables.

    Raises:
        DataError: The text is in another encoding, or its markers are not found.
    """
    found = _look(path, options)
    if found is None:
        return None
    name, text, size = found
    length = size * len(text) // max(len(text.encode()), 1)
    settings = {**SETTINGS, **training_settings(length)}
    if options.input == "onehot":
        del settings["task.embed_dropout"]
    return Suggestion(
        "lstm",
        settings,
        (f"text     {name}: text without labels, learned by its characters (char-lm)",),
        init=INITIAL_WEIGHTS,
        init_settings=tuning_settings(length),
        suits=lambda rows: known_share(text, rows) >= _KNOWN,
    )


def _look(path: Path | None, options: CharLMOptions) -> tuple[str, str, int] | None:
    """Return the name of plain text, its beginning, and its size in bytes; None for other data."""
    if path is None:
        return None
    if (shards := find_shards(path)) is not None:
        first = sample(shards, TextOptions())
        if first.form.name != "text":
            return None
        texts = (str(cell) for column in first.table.columns.values() for cell in column)
        is_compressed = shards.name.endswith(SUFFIXES_OF_COMPRESSION)
        return shards.name, "\n".join(texts), shards.size * (_RATIO if is_compressed else 1)
    if is_folder(path):
        return None
    start = head(path, 1 << 16)
    if not start.strip() or compression(path):
        return None
    if looks_binary(start) and not start.startswith(_UTF16):
        return None
    if looks_like_table(path) or start.count(_FASTTEXT) > start.count(b"\n") // 2:
        return None
    markers = options.start, options.end
    if not any(markers):
        markers = gutenberg_markers(path)
    blocks_of_text = filter(None, cut(blocks(path), *markers))
    text = next(blocks_of_text, "")
    is_longer = next(blocks_of_text, "") != ""
    return path.name, text, path.stat().st_size if is_longer else len(text.encode())


def training_settings(length: int) -> dict[str, Any]:
    """Return epochs and batch size for a text of a number of characters."""
    return {
        "training.epochs": _epochs(length, _EPOCHS, _MOST_EPOCHS),
        "training.batch_size": 32 if length >= 300_000 else 8,
    }


def tuning_settings(length: int) -> dict[str, Any]:
    """Return settings, above those, of a training that starts from other weights."""
    return {
        "training.epochs": _epochs(length, _EPOCHS_TUNED, _MOST_EPOCHS_TUNED),
        "training.learning_rate": 2e-3,
    }


def _epochs(length: int, of_a_million: int, most: int) -> int:
    return min(max(round(of_a_million * math.sqrt(1e6 / max(length, 1))), 1), most)
