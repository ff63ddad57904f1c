"""Settings of the language model tasks under which initial weights fit. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.interfaces import RowNames


def char_settings(options: Mapping[str, Any], rows: Mapping[str, RowNames]) -> dict[str, Any]:
    """Return how characters are represented; see :data:`zoo.records.SettingsFrom`.

    Args:
        options: Options of the task of the weights.
        rows: Unused.
    """
    del rows
    return {f"task.{name}": options[name] for name in ("input", "embed_size") if name in options}


def word_settings(options: Mapping[str, Any], rows: Mapping[str, RowNames]) -> dict[str, Any]:
    """Return the size of the vectors of words; see :data:`zoo.records.SettingsFrom`.

    Args:
        options: Options of the task of the weights.
        rows: Unused.
    """
    del rows
    return {"task.embed_size": options["embed_size"]} if "embed_size" in options else {}
