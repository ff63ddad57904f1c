"""The files of a run: its configuration, its metrics, its checkpoint and its weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zoo.errors import DiskError, UsageError, WeightsError
from zoo.files import read_json, write_atomically, write_json
from zoo.formats import check_format, upgrade_config


class RunDirectory:
    """The files of one run.

    ``config.json``
        The run, in the JSON form of :class:`zoo.spec.RunSpec`.
    ``metrics.jsonl``
        One line every ``log_every`` steps and one for each evaluation.
    ``checkpoint.safetensors``
        Everything that resuming needs.
    ``weights.safetensors``
        The best or last weights, as a weights file.
    ``evaluations.json``
        What ``zoo evaluate`` measured, by split.
    ``data.jsonl``, ``validation.jsonl``, ``test.jsonl``
        The data, where it was not a file.
    ``.lock``
        Locked by the process that trains.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.metrics = path / "metrics.jsonl"
        self.checkpoint = path / "checkpoint.safetensors"
        self.weights = path / "weights.safetensors"
        self.evaluations = path / "evaluations.json"

    def exists(self) -> bool:
        """Return whether a run was started here."""
        return self.config.exists()

    def create(self, config: Mapping[str, Any]) -> None:
        """Start a run.

        Raises:
            UsageError: There is one already.
            DiskError: The folder cannot be written.
        """
        self.refuse_existing()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(
                "cannot make the run directory", where=str(self.path), why=str(error)
            ) from error
        write_json(self.config, config)

    def rewrite_config(self, config: Mapping[str, Any]) -> None:
        """Replace what :meth:`create` was given.

        Raises:
            DiskError: It cannot be written.
        """
        write_json(self.config, config)

    def refuse_existing(self) -> None:
        """Raise UsageError if there is a run already."""
        if self.exists():
            raise UsageError(
                "there is a run already",
                where=str(self.path),
                fix="choose another --out, or continue it with --resume",
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the run, so that no other process trains it at the same time.

        Raises:
            UsageError: Another process has it locked.
        """
        try:
            with FileLock(self.path / ".lock", blocking=False):
                yield
        except Timeout:
            raise UsageError(
                "another process is training this run",
                where=str(self.path),
                fix="wait until it ends",
            ) from None

    def read_config(self) -> dict[str, Any]:
        """Return what :meth:`create` was given, in the form of this version.

        Raises:
            UsageError: There is no run.
            WeightsError: The file is damaged or of a later version.
        """
        if not self.exists():
            raise UsageError("no run", where=str(self.path), fix="start one with `zoo train`")
        document = read_json(self.config)
        if check_format(document, str(self.config)) == 1:
            try:
                return upgrade_config(document)
            except (KeyError, TypeError, AttributeError) as error:
                raise WeightsError(
                    "the configuration of the run is damaged",
                    where=str(self.config),
                    why=repr(error),
                ) from error
        return document

    def log(self, line: Mapping[str, Any]) -> None:
        """Append a line to the metrics."""
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise DiskError("cannot write", where=str(self.metrics), why=str(error)) from error

    def rewind(self, step: int) -> None:
        """Drop the metrics of steps after the one that training resumes from."""
        if self.metrics.exists():
            kept = [line for line in self.read_metrics() if line["step"] <= step]
            text = "".join(json.dumps(line) + "\n" for line in kept)
            write_atomically(self.metrics, text.encode())

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the lines of ``metrics.jsonl`` that are complete."""
        if not self.metrics.exists():
            return []
        lines = []
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return lines

    def read_evaluations(self) -> dict[str, Any]:
        """Return what was measured on splits after the training, by split."""
        return read_json(self.evaluations) if self.evaluations.exists() else {}

    def add_evaluation(self, split: str, metrics: Mapping[str, Any]) -> None:
        """Store what was measured on a split; ``zoo export`` writes it into the weights file."""
        write_json(self.evaluations, {**self.read_evaluations(), split: metrics})
