"""Options under which the weights of another task fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.interfaces import RowNames
from zoo_text.row_names import kept_names

# What a step is, and the sizes of vectors and layers.
_OPTIONS = (
    "tokens", "input", "embed_size", "pooling", "fc_size", "ngram_bits", "ngram_weight",
)  # fmt: skip


def settings_from(options: Mapping[str, Any], rows: Mapping[str, RowNames]) -> dict[str, Any]:
    """Return settings under which weights fit; see :data:`zoo.records.SettingsFrom`.

    Those of a text task are its own. Of another task, such as a language model, the vectors fit,
    and a step is a word where its vocabulary has words.

    Args:
        options: Those of the task of the weights.
        rows: What rows of its parameters stand for.
    """
    if "tokens" in options:
        return {f"task.{name}": options[name] for name in _OPTIONS if name in options}
    found = {"task.embed_size": options["embed_size"]} if "embed_size" in options else {}
    vectors = rows.get("embedding.weight")
    if vectors is not None and kept_names(vectors.names, "words"):
        found["task.tokens"] = "words"
    return found
