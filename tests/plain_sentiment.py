"""Settings for a small and quick sentiment network: that of the textbook, trained with plain Adam.

``sentiment/MODEL`` itself has subwords, a linear model of n-grams beside the network, dropout and a
schedule. Of settings for the same option the last one counts.
"""

from __future__ import annotations

from typing import Any

OPTIONS: dict[str, Any] = {
    "tokens": "words",
    "ngram_weight": 0.0,
    "label_smoothing": 0.0,
    "calibration": "none",
    "embed_size": 20,
    "embed_std": 1.0,
    "fc_size": 64,
    "pooling": "last",
    "word_dropout": 0.0,
    "embed_dropout": 0.0,
    "dropout": 0.0,
    "max_tokens": 0,
    "truncation": "head",
    "validation_size": 0.2,
}
TASK = tuple(f"task.{name}={value}" for name, value in OPTIONS.items())
TRAINING = (
    "epochs=10", "batch_size=32", "learning_rate=0.001", "clip_norm=0", "schedule=constant",
    "warmup=0",
)  # fmt: skip
PLAIN = (*TASK, *TRAINING, "optimizer=adam", "beta2=0.999")


def as_options(*settings: str) -> list[str]:
    """Return settings as arguments of a command."""
    return [part for setting in settings for part in ("--set", setting)]


def as_settings(*settings: str) -> dict[str, str]:
    """Return settings as :func:`zoo.train` takes them."""
    pairs = (setting.partition("=") for setting in settings)
    return {key: value for key, _, value in pairs}
