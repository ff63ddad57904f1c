"""A run: what a training left in its directory, and the trained model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.display import Displayed
from zoo.engine.run_directory import RunDirectory
from zoo.trained import TrainedModel
from zoo.weights.file import inspect


class Run(Displayed):
    """A training that has ended, was interrupted, or can be resumed.

    Returned by :func:`zoo.train`, :func:`zoo.resume` and :func:`zoo.open_run`.

    Attributes:
        path: The run directory.
        interrupted: Whether the training was stopped before it was complete.
        stop_reason: Why it was stopped early; empty if it was not.
        transfer: What was taken from the weights that training started from, in words.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], TrainedModel],
        *,
        interrupted: bool = False,
        stop_reason: str = "",
        transfer: str = "",
    ) -> None:
        self.path = path
        self.interrupted = interrupted
        self.stop_reason = stop_reason
        self.transfer = transfer
        self._directory = RunDirectory(path)
        self._load = load

    @cached_property
    def model(self) -> TrainedModel:
        """The trained model: the weights that were saved, the best or the last ones."""
        return self._load(self.path)

    @property
    def config(self) -> Mapping[str, Any]:
        """What was trained and how, in the JSON form of :class:`zoo.spec.RunSpec`."""
        return self._directory.read_config()

    @property
    def history(self) -> dict[str, list[Any]]:
        """The lines of ``metrics.jsonl`` as columns; None where a line lacks a value.

        Example:
            ``pandas.DataFrame(run.history)`` is a table of them.
        """
        lines = self._directory.read_metrics()
        names = list(dict.fromkeys(name for line in lines for name in line))
        return {name: [line.get(name) for line in lines] for name in names}

    @property
    def metrics(self) -> Mapping[str, Any]:
        """What was measured, by split: validation metrics of the saved weights, evaluations."""
        saved = inspect(self._directory.weights).header["metrics"]
        return {**saved, **self._directory.read_evaluations()}

    def facts(self) -> dict[str, str]:
        """Return what a person wants to know of the run, by name."""
        state = f"stopped: {self.stop_reason}" if self.stop_reason else "complete"
        facts = {"path": str(self.path), "state": state, "name": self.config["name"]}
        if self._directory.weights.exists():
            for split, metrics in self.metrics.items():
                for key, value in metrics.items():
                    if isinstance(value, float) and not key.endswith(("_low", "_high")):
                        facts[f"{split} {key}"] = f"{value:.4f}"
        return facts
