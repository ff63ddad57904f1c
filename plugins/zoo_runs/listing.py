"""The runs of a folder: found, filtered and sorted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from zoo.cli.output import format_value
from zoo.errors import UsageError, did_you_mean
from zoo_runs.summary import RunSummary, is_run, read_run

_FIELDS = ("path", "name", "score", "step", "epoch", "seconds", "state")


def find(folder: Path, sort: str = "", filters: Sequence[str] = ()) -> list[RunSummary]:
    """Return the runs of a folder; see :func:`zoo_runs.list_runs`."""
    if not folder.is_dir():
        raise UsageError(
            "no such folder", where=str(folder), fix="give the folder that the runs are in"
        )
    pairs = [_pair(text) for text in filters]
    found = [read_run(path) for path in directories(folder)]
    for key, value in pairs:
        values = [(run, _lookup(run, key, folder)) for run in found]
        if found and not any(known for _, known in values):
            names = [name for run in found for name in (*run.settings, "name", "path", "state")]
            raise UsageError(f"no run has {key!r}{did_you_mean(key, names)}", where="--filter")
        found = [run for run, known in values if any(_agrees(each, value) for each in known)]
    return _sorted(found, sort) if sort else found


def directories(folder: Path) -> Iterator[Path]:
    """Yield the run directories of a folder, by path; what is in a run is not looked at."""
    for path, folders, files in os.walk(folder):
        if is_run(set(files)):
            folders.clear()
            yield Path(path)
        folders.sort()


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise UsageError(
            f"--filter {text!r} is not KEY=VALUE", fix="for instance hidden_size=64 or name=sent*"
        )
    return key.strip(), value.strip()


def _lookup(run: RunSummary, key: str, folder: Path) -> list[Any]:
    """Return what a run has under a key: nothing, one value, or one of each section."""
    if key == "path":
        return [str(run.path), run.path.relative_to(folder).as_posix()]
    if key in ("name", "state"):
        return [getattr(run, key)]
    if key in run.settings:
        return [run.settings[key]]
    return [value for name, value in run.settings.items() if name.rpartition(".")[2] == key]


def _agrees(value: object, wanted: str) -> bool:
    """Return whether a value is the one that was typed, or matches the pattern."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(wanted) == value
        except ValueError:
            pass
    text = format_value(value)
    return text == (wanted or "''") or fnmatchcase(text, wanted)


def _sorted(runs: list[RunSummary], sort: str) -> list[RunSummary]:
    """Return runs in the order of a value; those that lack it last."""
    name = sort.removeprefix("-")
    values = [(run, sort_value(run, name)) for run in runs]
    if runs and not any(value is not None for _, value in values):
        names = [*_FIELDS, *(key for run in runs for key in run.metrics)]
        raise UsageError(f"no run has {name!r}{did_you_mean(name, names)}", where="--sort")
    known = [(value, run) for run, value in values if value is not None]
    known.sort(key=lambda pair: pair[0], reverse=sort.startswith("-"))
    return [run for _, run in known] + [run for run, value in values if value is None]


def sort_value(run: RunSummary, name: str) -> Any:
    """Return what runs are sorted by; None where a run lacks it."""
    if name in _FIELDS:
        return str(run.path) if name == "path" else getattr(run, name)
    return run.metrics.get(name)


def is_metric(sort: str) -> bool:
    """Return whether runs are sorted by a metric, which a table should show then."""
    return bool(sort) and sort.removeprefix("-") not in _FIELDS
