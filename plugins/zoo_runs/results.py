"""What came of a sweep: scores by trial and seed, their mean and spread."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo import Run
from zoo.api import open_run
from zoo.errors import WeightsError
from zoo_runs.study import Record, trial_folder
from zoo_runs.summary import read_run


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one setting with several seeds.

    Args:
        values: One for each seed, in order.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """The sample standard deviation over seeds; None of a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values by name."""
        return {"values": list(self.values), "mean": self.mean, "spread": self.spread}


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of a sweep.

    Args:
        path: The folder of its runs, ``seed-1``, ``seed-2`` ...
        settings: What varies, as after ``--set``.
        state: ``complete``; ``diverged``; ``running``: also of one that was interrupted.
        validation: The monitored metric on the validation part; None where it is not complete.
    """

    path: Path
    settings: Mapping[str, str]
    state: str
    validation: Scores | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values by name."""
        return {
            "folder": self.path.name,
            "settings": dict(self.settings),
            "state": self.state,
            "validation": None if self.validation is None else self.validation.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Sweep:
    """The trials of a sweep so far, the best first.

    Args:
        path: Its folder.
        metric: The metric that the task monitors.
        seeds: Runs of each setting.
        trials: The trials; those without a score come last.
        planned: How many there will be.
        interrupted: Whether this process was stopped before the sweep was complete.
        test: Metrics of the best setting on the test part, by name; empty where it was not read.
    """

    path: Path
    metric: str
    seeds: int
    trials: Sequence[Trial]
    planned: int
    interrupted: bool = False
    test: Mapping[str, Scores] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every trial has ended."""
        return sum(trial.state != "running" for trial in self.trials) >= self.planned

    @property
    def best(self) -> Trial | None:
        """The trial with the best mean on the validation part; None where none is complete."""
        return self.trials[0] if self.trials and self.trials[0].validation else None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values by name, as ``zoo sweep --json`` prints them."""
        best = self.best
        return {
            "metric": self.metric,
            "seeds": self.seeds,
            "planned": self.planned,
            "complete": self.complete,
            "trials": [trial.to_json() for trial in self.trials],
            "best": None if best is None else best.to_json(),
            "test": {name: scores.to_json() for name, scores in self.test.items()},
        }


def seed_paths(trial: Path, seeds: int) -> list[Path]:
    """Return the run directories of a trial."""
    return [trial / f"seed-{seed}" for seed in range(1, seeds + 1)]


def validation_score(path: Path, metric: str) -> float:
    """Return what a run reached on the validation part.

    Raises:
        WeightsError: The run is missing or damaged.
    """
    run = read_run(path)
    if metric not in run.measured.get("validation", {}):
        raise WeightsError(
            "a run of the sweep has no score", where=str(path),
            why=run.error or "it was not evaluated",
            fix="restore the folder, or begin another sweep with --out",
        )  # fmt: skip
    return run.measured["validation"][metric]


def collect(
    folder: Path, records: Sequence[Record], metric: str, seeds: int, *, higher_is_better: bool
) -> list[Trial]:
    """Return the trials that a study has, the best first, with the scores of their runs."""
    found = []
    for record in records:
        path, scores = folder / trial_folder(record.number), None
        if record.state == "complete":
            scores = Scores(tuple(validation_score(run, metric) for run in seed_paths(path, seeds)))
        found.append(Trial(path, record.settings, record.state, scores))
    sign = -1 if higher_is_better else 1
    return sorted(
        found,
        key=lambda each: (0, sign * each.validation.mean) if each.validation else (1, 0.0),
    )


def on_test(trial: Trial, seeds: int) -> dict[str, Scores]:
    """Evaluate the runs of a trial on the test part, once; return their metrics.

    Empty where the data has no test part. Errors are those of :attr:`zoo.Run.test`.
    """
    runs: list[Run] = [open_run(path) for path in seed_paths(trial.path, seeds)]
    measured = [run.test for run in runs]
    found = [metrics for metrics in measured if metrics]
    if len(found) < len(runs):
        return {}
    names = [
        name for name, value in found[0].items()
        if isinstance(value, float) and not name.endswith(("_low", "_high"))
    ]  # fmt: skip
    return {
        name: Scores(tuple(float(metrics[name]) for metrics in found))
        for name in names if all(name in metrics for metrics in found)
    }  # fmt: skip
