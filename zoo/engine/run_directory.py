"""The files of a run: its configuration, its metrics, its checkpoint and its weights."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zoo.errors import DiskError, UsageError, WeightsError, ZooWarning
from zoo.files import read_json, remove_temporaries, sync_folder, write_atomically, write_json
from zoo.formats import check_format, upgrade_config
from zoo.weights.file import inspect, read, weights_digest

WEIGHTS_SHA256 = "weights_sha256"
# Seconds that an evaluation waits for another one to be stored, which takes milliseconds.
_STORING = 30
# What a line of metrics.jsonl has, beside the metrics.
_LINE: Mapping[str, type] = {"kind": str, "step": int}


class RunDirectory:
    """The files of one run.

    ``config.json``
        The run, in the JSON form of :class:`zoo.spec.RunSpec`, and what has changed since.
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
    ``.lock``, ``.evaluations.lock``
        Locked by the process that trains, and by one that stores an evaluation.
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
        self._make()
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
        """Lock the directory, so that no other process trains in it at the same time.

        It is made if need be, and removed again if no run was started in it. What a crashed
        process left half written is removed.

        Raises:
            UsageError: Another process has it locked.
            DiskError: The folder cannot be written.
        """
        made = self._make()
        file = self.path / ".lock"
        lock = FileLock(file, blocking=False)
        try:
            lock.acquire()
        except Timeout:
            raise UsageError(
                "another process is training this run",
                where=str(self.path),
                fix="wait until it ends",
            ) from None
        except OSError as error:
            raise DiskError("cannot lock", where=str(file), why=str(error)) from error
        try:
            for written in self._written_by_training():
                remove_temporaries(written)
            yield
        finally:
            try:
                if not self.exists():
                    with contextlib.suppress(OSError):  # Something else has been put there.
                        file.unlink()
                        for folder in made:
                            folder.rmdir()
            finally:
                lock.release()

    def _written_by_training(self) -> list[Path]:
        tables = [self.path / f"{part}.jsonl" for part in ("data", "validation", "test")]
        return [self.config, self.metrics, self.checkpoint, self.weights, *tables]

    def _make(self) -> list[Path]:
        """Make the folder, and return those made, from the inner to the outer."""
        made = [path for path in (self.path, *self.path.parents) if not path.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for path in made:
                sync_folder(path.parent)
        except OSError as error:
            raise DiskError(
                "cannot make the run directory", where=str(self.path), why=str(error)
            ) from error
        return made

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

    def sync_metrics(self) -> None:
        """Have the metrics on the disk, as a checkpoint needs: it does not repeat them."""
        if not self.metrics.exists():
            return
        try:
            with self.metrics.open("ab") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise DiskError("cannot write", where=str(self.metrics), why=str(error)) from error

    def rewind(self, step: int) -> None:
        """Drop the metrics of steps after the one that training resumes from."""
        if self.metrics.exists():
            kept = [line for line in self.read_metrics() if line["step"] <= step]
            text = "".join(json.dumps(line) + "\n" for line in kept)
            write_atomically(self.metrics, text.encode())

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the lines of ``metrics.jsonl``; a last one that is incomplete is left out.

        Raises:
            WeightsError: Another line is damaged; the message says which.
        """
        if not self.metrics.exists():
            return []
        try:
            content = self.metrics.read_bytes()
        except OSError as error:
            raise WeightsError("cannot read", where=str(self.metrics), why=str(error)) from error
        *complete, last = content.split(b"\n")
        lines = [self._parse(line, number) for number, line in enumerate(complete, 1)]
        if last:
            with contextlib.suppress(WeightsError):  # The process was killed while it wrote it.
                lines.append(self._parse(last, len(complete) + 1))
        return lines

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        why = ""
        try:
            found = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            found, why = None, str(error)
        if not isinstance(found, dict):
            why = why or "it is no JSON object"
        else:
            missing = [key for key, kind in _LINE.items() if type(found.get(key)) is not kind]
            why = f"it has no {missing[0]}" if missing else ""
        if why:
            raise WeightsError(
                "a line of the metrics is damaged",
                where=f"{self.metrics}, line {number:,}",
                why=why,
                fix="remove this line",
            )
        return dict(found)

    def read_evaluations(self) -> dict[str, Any]:
        """Return what was measured on splits with the weights that are there now, by split.

        Evaluations of weights that were replaced since are left out.

        Raises:
            WeightsError: The file is damaged.
        """
        if not self.evaluations.exists() or not self.weights.exists():
            return {}
        found = read_json(self.evaluations)
        for split, metrics in found.items():
            if not isinstance(metrics, dict):
                raise WeightsError(
                    "the evaluation is damaged", where=f"{self.evaluations}, {split}",
                    why="it is no JSON object", fix="remove the file and evaluate again",
                )  # fmt: skip
        present = inspect(self.weights).header.get(WEIGHTS_SHA256)
        of_now = {present}
        if present is None and any(WEIGHTS_SHA256 in metrics for metrics in found.values()):
            # Weights of an earlier version, evaluated by this one.
            of_now |= {weights_digest(read(self.weights).tensors)}
        return {
            split: metrics
            for split, metrics in found.items()
            if metrics.get(WEIGHTS_SHA256) in of_now
        }

    def store_evaluation(self, split: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Store what was measured as :meth:`add_evaluation`, with a warning where it cannot be."""
        try:
            return self.add_evaluation(split, metrics)
        except DiskError as error:
            message = f"the evaluation is not stored for the export: {error}"
            warnings.warn(message, ZooWarning, stacklevel=3)
            return dict(metrics)

    def add_evaluation(self, split: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Store what was measured on a split; ``zoo export`` writes it into the weights file.

        What was measured on other data than that of the training does not replace what was
        measured on that.

        Returns:
            The metrics, and baselines that an earlier evaluation of the same weights and data had.

        Raises:
            DiskError: It cannot be written.
            WeightsError: The evaluations that are there are damaged.
        """
        file = self.path / ".evaluations.lock"
        try:
            with FileLock(file, timeout=_STORING):
                remove_temporaries(self.evaluations)
                stored = self.read_evaluations()
                merged = {**metrics, **_baselines(stored.get(split, {}), metrics)}
                if not _is_of_other_data(merged) or _is_of_other_data(stored.get(split)):
                    write_json(self.evaluations, {**stored, split: merged})
                return merged
        except (Timeout, OSError) as error:
            raise DiskError("cannot lock", where=str(file), why=str(error)) from error


def _is_of_other_data(metrics: Mapping[str, Any] | None) -> bool:
    """Return whether there are no metrics that were measured on the data of the training."""
    return metrics is None or not metrics.get("training_data", True)


def _baselines(before: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the baselines of two evaluations, if both are of the same weights and data."""
    digests = ("weights_sha256", "data_sha256")
    if "baselines" not in before or any(before.get(d) != metrics.get(d) for d in digests):
        return {}
    return {"baselines": {**before["baselines"], **metrics.get("baselines", {})}}


class ReadOnlyRunDirectory(RunDirectory):
    """The files of a run for a process that writes none: the main process of the training does."""

    def create(self, config: Mapping[str, Any]) -> None:
        """Write nothing."""

    def rewrite_config(self, config: Mapping[str, Any]) -> None:
        """Write nothing."""

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock nothing: the main process holds the lock."""
        yield

    def log(self, line: Mapping[str, Any]) -> None:
        """Write nothing."""

    def sync_metrics(self) -> None:
        """Write nothing."""

    def rewind(self, step: int) -> None:
        """Write nothing."""
