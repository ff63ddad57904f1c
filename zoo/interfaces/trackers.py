"""Trackers: callbacks that send a run to a tool for experiments, and never end a training."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeAlias, TypeVar

from zoo.discovery import described
from zoo.errors import ZooWarning
from zoo.interfaces.tasks import Metrics
from zoo.interfaces.training import Callback

if TYPE_CHECKING:
    from zoo.engine.trainer import Trainer
    from zoo.runs import Run

Setting: TypeAlias = bool | int | float | str
RunStatus: TypeAlias = Literal["finished", "stopped", "failed"]
P = ParamSpec("P")
R = TypeVar("R")


class Tracker(Callback):
    """Base class of callbacks that send a run to a tool for experiments.

    Override the methods that are needed. Whatever they raise is one warning: the tracker is not
    called again, and the training goes on as it would without it.
    """

    _status: RunStatus | None = None  # None: the training has not begun.
    _failed = False
    _step = 0

    def start(self, run_directory: Path, settings: Mapping[str, Setting], step: int) -> None:
        """Called before the first step, also of a resumed run.

        Args:
            run_directory: The files of the run; a tracker may keep one of its own there.
            settings: The settings of the run, keys as after ``--set``, such as
                ``model.hidden_size``; ``task``, ``model``, ``optimizer`` and ``scheduler`` are
                names.
            step: Steps that were taken before; 0 for a new run. What was logged after it is
                logged again.
        """

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Called with metrics of training, validation and test.

        Args:
            metrics: Values by name, such as ``train/loss``, ``train/learning_rate``,
                ``validation/accuracy`` or ``test/baselines/majority``.
            step: The optimizer step that they were measured after.
        """

    def finish(self, files: Sequence[Path]) -> str | None:
        """Called when the run is complete, after its metrics on the test part.

        Args:
            files: Files worth keeping: the weights, and the report if there is one.

        Returns:
            A line that ``zoo train`` prints, such as where the run can be looked at.
        """
        return None

    def end(self, status: RunStatus) -> None:
        """Called last, to release what the tracker holds, also after it has failed.

        Args:
            status: ``finished``, ``stopped`` (it can be resumed) or ``failed`` (by an error).
        """

    def on_train_begin(self, trainer: Trainer) -> None:
        self._failed = False  # Of an earlier run of the same object.
        self._status, self._step = "failed", trainer.state.step
        settings = dict(_settings(trainer.spec.to_json()))
        self._attempt(self.start, trainer.directory.path, settings, trainer.state.step)

    def on_log(self, trainer: Trainer, metrics: Metrics) -> None:
        self._attempt(self.log_metrics, _numbers("train", metrics), trainer.state.step)

    def on_evaluate(self, trainer: Trainer, metrics: Metrics) -> None:
        self._attempt(self.log_metrics, _numbers("validation", metrics), trainer.state.step)

    def on_train_end(self, trainer: Trainer) -> None:
        self._status = "finished" if trainer.state.done else "stopped"
        self._step = trainer.state.step

    def on_run_end(self, run: Run) -> str | None:
        if test := run.metrics.get("test"):
            self._attempt(self.log_metrics, _numbers("test", test), self._step)
        kept = [run.path / name for name in ("weights.safetensors", "report.html")]
        return self._attempt(self.finish, [file for file in kept if file.exists()])

    def close(self) -> None:
        if self._status is None:
            return
        if self._failed:
            with contextlib.suppress(Exception):  # It was warned of.
                self.end(self._status)
        else:
            self._attempt(self.end, self._status)

    def _attempt(self, method: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        if not self._failed:
            try:
                return method(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - no library of a tracker ends a training
                self._failed = True
                name = type(self).__name__
                text = f"{name} failed, and the run is not tracked any more: {described(error)}"
                warnings.warn(text, ZooWarning, stacklevel=3)
        return None


def _settings(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Setting]]:
    """Yield the settings in the JSON form of a run, one by one; those of callbacks are left out."""
    for name, value in document.items():
        key = prefix + name
        if key == "callbacks":
            continue
        if not isinstance(value, Mapping):
            yield key, _setting(value)
        elif "options" in value:  # A component: a record and its options.
            yield key, value["name"]
            yield from _settings(value["options"], f"{key}.")
        else:
            yield from _settings(value, f"{key}.")


def _setting(value: Any) -> Setting:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ",".join(str(each) for each in value)
    return value if isinstance(value, bool | int | float) else str(value)


def _numbers(prefix: str, metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are numbers, and the numbers of those that are mappings of them."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, Real) and not isinstance(value, bool):
            found[f"{prefix}/{name}"] = float(value)
        elif isinstance(value, Mapping):
            found |= _numbers(f"{prefix}/{name}", value)
    return found
