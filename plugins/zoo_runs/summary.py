"""What the files of a run say of it: read without torch, a few milliseconds a run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import WeightsError, ZooError
from zoo.files import read_json
from zoo.formats import check_format, upgrade_config
from zoo.installed import registry
from zoo.records import TaskInfo
from zoo.spec import settings_of

# The files of a run directory that are read here; docs/own-data.md lists all of them.
CONFIG, METRICS, EVALUATIONS = "config.json", "metrics.jsonl", "evaluations.json"
CHECKPOINT, WEIGHTS, LOCK = "checkpoint.safetensors", "weights.safetensors", ".lock"

# The metadata of a checkpoint and of a weights file.
_CHECKPOINT_KEY, _WEIGHTS_KEY, _DIGEST = "zoo-checkpoint", "zoo", "weights_sha256"

# Bytes at the end of metrics.jsonl that are read: a line has some kilobytes.
_TAIL = 1 << 18


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What is known of a run without loading its network.

    Args:
        path: The run directory.
        name: The recipe, or ``TASK/MODEL``.
        state: ``complete``; ``interrupted``: not complete, or still training; ``damaged``.
        metric: The metric that the task monitors.
        split: The part of the data that it was measured on: ``test``, or ``validation`` where the
            test part was not evaluated; empty where nothing was measured.
        measured: Numbers by metric and split.
        step: Optimizer steps taken.
        epoch: Epochs completed.
        seconds: Training time.
        settings: All settings, and ``task``, ``model``, ``data``, ``seed`` and ``init``.
        error: Why the run is damaged; empty if it is not.
    """

    path: Path
    name: str = ""
    state: str = "damaged"
    metric: str = ""
    split: str = ""
    measured: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    step: int | None = None
    epoch: int | None = None
    seconds: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def metrics(self) -> Mapping[str, float]:
        """The numbers that were measured on :attr:`split`."""
        return self.measured.get(self.split, {})

    @property
    def score(self) -> float | None:
        """The monitored metric on :attr:`split`."""
        return self.metrics.get(self.metric)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values by name, as ``zoo runs --json`` prints them."""
        metrics, metric = self.metrics, self.metric
        return {
            "path": str(self.path),
            "name": self.name,
            "state": self.state,
            "metric": metric,
            "split": self.split,
            "score": self.score,
            "low": metrics.get(f"{metric}_low"),
            "high": metrics.get(f"{metric}_high"),
            "step": self.step,
            "epoch": self.epoch,
            "seconds": self.seconds,
            "metrics": {split: dict(values) for split, values in self.measured.items()},
            "settings": dict(self.settings),
            "error": self.error,
        }


def is_run(names: set[str]) -> bool:
    """Return whether a folder with files of these names is a run directory."""
    return CONFIG in names and bool(names & {LOCK, METRICS, CHECKPOINT, WEIGHTS})


def read_run(path: Path) -> RunSummary:
    """Return what the files of a run directory say; damaged ones are told in ``error``."""
    try:
        return _read(path)
    except ZooError as error:
        return RunSummary(path, error=str(error))


def _read(path: Path) -> RunSummary:
    """Return what the files say.

    Raises:
        WeightsError: One of them is damaged, or of a later version.
    """
    config = _config(path / CONFIG)
    state = _state(path)
    header = _metadata(path / WEIGHTS, _WEIGHTS_KEY)
    measured = _measured(path, header)
    task = config["task"]["name"]
    known = registry()
    metric = "loss"
    if known.has(TaskInfo, task):
        metric = known.declaration(TaskInfo, task).facts["monitor"]
    split = next((part for part in ("test", "validation") if metric in measured.get(part, {})), "")
    return RunSummary(
        path,
        name=config["name"],
        state="complete" if state.get("done") else "interrupted",
        metric=metric,
        split=split,
        measured=measured,
        step=state.get("step"),
        epoch=state.get("epoch"),
        seconds=state.get("seconds"),
        settings={
            "task": task,
            "model": config["model"]["name"],
            **{key: config[key] for key in ("data", "seed", "init")},
            **settings_of(config),
        },
    )


def _config(file: Path) -> dict[str, Any]:
    document = read_json(file)
    try:
        config = upgrade_config(document) if check_format(document, str(file)) == 1 else document
        settings_of(config)
        return {**config, **{key: config[key] for key in ("name", "data", "seed", "init")}}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise WeightsError(
            "the configuration of the run is damaged", where=str(file), why=repr(error)
        ) from error


def _state(path: Path) -> dict[str, Any]:
    """Return where the training is: that of the checkpoint, or of a later line of the log."""
    found = dict(_last_line(path / METRICS))
    header = _metadata(path / CHECKPOINT, _CHECKPOINT_KEY)
    # In format 1 it was called the position.
    saved = header.get("state", header.get("position", {}))
    if not isinstance(saved, dict):
        raise WeightsError("the state of the training is damaged", where=str(path / CHECKPOINT))
    if saved.get("step", -1) >= found.get("step", 0):
        found |= saved
    return found


def _last_line(file: Path) -> Mapping[str, Any]:
    """Return the last complete line of the log; empty where there is none.

    Raises:
        WeightsError: It is damaged.
    """
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
            lines = stream.read().split(b"\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise WeightsError("cannot read", where=str(file), why=str(error)) from error
    if len(lines) < 2:
        return {}
    try:
        line = json.loads(lines[-2])
        return {key: line[key] for key in ("step", "epoch", "seconds") if key in line}
    except (ValueError, TypeError) as error:
        raise WeightsError(
            "a line of the metrics is damaged", where=str(file), why=str(error)
        ) from error


def _metadata(file: Path, key: str) -> dict[str, Any]:
    """Return the JSON object in the metadata of a safetensors file; empty where there is no file.

    Raises:
        WeightsError: It is damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        return {}
    try:
        with safe_open(file, framework="numpy") as stream:
            document = json.loads((stream.metadata() or {})[key])
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise WeightsError("the file is damaged", where=str(file), why=str(error)) from error
    if not isinstance(document, dict):
        raise WeightsError("the file is damaged", where=str(file), why="its header is no object")
    return document


def _measured(path: Path, header: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the numbers that were measured of the weights that are there now, by split."""
    found = dict(header.get("metrics", {}))
    if (path / EVALUATIONS).exists():
        for split, metrics in read_json(path / EVALUATIONS).items():
            if not isinstance(metrics, dict):
                raise WeightsError("an evaluation is damaged", where=str(path / EVALUATIONS))
            # Others were of earlier weights, or of other data.
            if metrics.get(_DIGEST) == header.get(_DIGEST) and metrics.get("training_data", True):
                found[split] = metrics
    return {
        split: {
            key: value for key, value in metrics.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        for split, metrics in found.items()
    }  # fmt: skip
