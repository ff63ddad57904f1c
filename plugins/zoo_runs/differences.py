"""Settings that are not the same in all runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# It decides no result.
_LEFT_OUT = {"training.checkpoint_every"}


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys of the settings that differ, or that some runs do not have.

    Args:
        settings: Those of each run, by key.
    """
    keys = dict.fromkeys(key for each in settings for key in each if key not in _LEFT_OUT)
    missing = object()

    def differs(key: str) -> bool:
        first = settings[0].get(key, missing)
        return any(each.get(key, missing) != first for each in settings[1:])

    return [key for key in keys if differs(key)]


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return what each key is called in a table: without its section, where that is clear."""
    bare = [key.rpartition(".")[2] for key in keys]
    return {
        key: name if bare.count(name) == 1 else key for key, name in zip(keys, bare, strict=True)
    }
