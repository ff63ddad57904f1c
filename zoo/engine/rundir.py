"""A run on disk: what was asked for, what was measured, where it can go on, and its weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zoo.errors import DiskError, UsageError, WeightsError
from zoo.files import write_atomically


class RunDirectory:
    """The files of one run.

    ``config.json``
        The resolved configuration.
    ``metrics.jsonl``
        One line every so many steps and one an evaluation.
    ``checkpoint.safetensors``
        Everything that resuming needs.
    ``weights.safetensors``
        The kept weights: what ``zoo export`` gives out.
    ``evaluations.json``
        What ``zoo evaluate`` measured, by split.
    ``.lock``
        Held by the process that trains.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.metrics = path / "metrics.jsonl"
        self.checkpoint = path / "checkpoint.safetensors"
        self.weights = path / "weights.safetensors"
        self.evaluations = path / "evaluations.json"

    def exists(self) -> bool:
        """Whether a run was ever started here."""
        return self.config.exists()

    def create(self, config: Mapping[str, Any]) -> None:
        """Start a run.

        Raises:
            UsageError: There is one already.
            DiskError: The folder cannot be written.
        """
        if self.exists():
            raise UsageError(
                "there is a run already",
                where=str(self.path),
                fix="choose another --out, or go on with --resume",
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(
                "cannot make the run directory", where=str(self.path), why=str(error)
            ) from error
        write_json(self.config, config)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training here meanwhile.

        Raises:
            UsageError: One is at it already.
        """
        try:
            with FileLock(self.path / ".lock", blocking=False):
                yield
        except Timeout:
            raise UsageError(
                "another process trains here", where=str(self.path), fix="wait until it is done"
            ) from None

    def read_config(self) -> dict[str, Any]:
        """Return what :meth:`create` was given.

        Raises:
            UsageError: There is no run.
            WeightsError: The file is damaged.
        """
        if not self.exists():
            raise UsageError("no run", where=str(self.path), fix="start one with `zoo train`")
        return read_json(self.config)

    def log(self, line: Mapping[str, Any]) -> None:
        """Append a line to the metrics."""
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise DiskError("cannot write", where=str(self.metrics), why=str(error)) from error

    def rewind(self, step: int) -> None:
        """Drop the metrics of steps that a checkpoint does not know of."""
        if not self.metrics.exists():
            return
        kept = []
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] > step:
                    break
            except json.JSONDecodeError:  # The line that a crash cut short.
                break
            kept.append(line + "\n")
        write_atomically(self.metrics, "".join(kept).encode())

    def add_evaluation(self, split: str, metrics: Mapping[str, Any]) -> None:
        """Keep what was measured on a split, to travel with the export."""
        known = read_json(self.evaluations) if self.evaluations.exists() else {}
        write_json(self.evaluations, {**known, split: metrics})


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        WeightsError: It is not one.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError("cannot read", where=str(path), why=str(error)) from error
    if not isinstance(document, dict):
        raise WeightsError("not a JSON object", where=str(path))
    return document


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON object atomically, for people to read."""
    write_atomically(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
