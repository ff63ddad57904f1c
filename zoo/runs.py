"""A run: what a training left in its directory, and the trained model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.display import Displayed
from zoo.engine.checkpoint import is_complete, read_header
from zoo.engine.evaluation import installed_metrics
from zoo.engine.origin import processes
from zoo.engine.progress import evaluation_progress
from zoo.engine.run_directory import RunDirectory
from zoo.errors import WeightsError
from zoo.installed import registry
from zoo.interfaces import Data, FitsBaseline, Mistake, Outcomes
from zoo.settings import resolve
from zoo.spec import SAMPLE, dataset_of, settings_of
from zoo.trained import TrainedModel
from zoo.trained.measured import check_downloaded
from zoo.verdict import verdict
from zoo.weights.file import inspect


def data_of_run(directory: RunDirectory) -> str:
    """Return the data of a run: a path, the name of a data set, or that of the sample.

    Args:
        directory: The run directory.

    Raises:
        UsageError: It is a data set that is not in the cache: a directory starts no download.
    """
    data = str(directory.read_config()["data"])
    if (dataset := dataset_of(data, registry())) is not None:
        check_downloaded(dataset, str(directory.config))
    return data or SAMPLE


class Run(Displayed):
    """A training that has ended, was interrupted, or can be resumed.

    Returned by :func:`zoo.train`, :func:`zoo.resume` and :func:`zoo.open_run`.

    Attributes:
        path: The run directory.
        stop_reason: Why it was stopped early; empty if it was not, and after
            :func:`zoo.open_run`.
        transfer: What was taken from the weights that training started from, in words.
        messages: What callbacks said at its end, such as where a report was written.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[Path, str], TrainedModel],
        *,
        interrupted: bool | None = False,
        stop_reason: str = "",
        transfer: str = "",
        data: Data | None = None,
        device: str = "cpu",
        threads: int | None = None,
        progress: bool = False,
    ) -> None:
        """Return the run of a directory.

        Args:
            path: The run directory.
            load: (path, device) to the trained model.
            interrupted: See above; None: as the checkpoint says.
            stop_reason: See above.
            transfer: See above.
            data: What the training prepared; None: it is read again where it is needed.
            device: Where the test part is evaluated.
            threads: Threads of torch for that; 0: one for each processor; None: as set.
            progress: Whether to show how far it is.
        """
        self.path = path
        self._interrupted = interrupted
        self.stop_reason = stop_reason
        self.transfer = transfer
        self.messages: tuple[str, ...] = ()
        self._directory = RunDirectory(path)
        self._load = load
        self._data = data
        self._device, self._threads, self._progress = device, threads, progress

    @property
    def interrupted(self) -> bool:
        """Whether the training was stopped before it was complete.

        Raises:
            WeightsError: The checkpoint is damaged.
        """
        if self._interrupted is None:  # It may be resumed meanwhile.
            return not is_complete(self._directory)
        return self._interrupted

    @cached_property
    def model(self) -> TrainedModel:
        """The trained model: the weights that were saved, the best or the last ones."""
        return self._load(self.path, "cpu")

    @cached_property
    def test(self) -> Mapping[str, Any] | None:
        """What the saved weights reach on the test part; None where the data has none.

        It is measured when it is first asked for, and stored for the export as ``zoo evaluate``
        does.

        Raises:
            ZooError: The data cannot be read again, or there are no weights yet.
        """
        stored = self._directory.read_evaluations().get("test")
        if stored and stored.get("training_data", True):
            return dict(stored)
        data = self.data
        if "test" not in data.splits or not data.splits["test"].num_examples:
            return None
        if isinstance(self._evaluated.task, FitsBaseline):
            data = self._evaluated.task.with_baseline(data)
        measured = self._evaluated.evaluate(
            data,
            metrics=installed_metrics(self.config["metrics"], registry()),
            threads=self._threads,
            progress=evaluation_progress("test", shown=self._progress),
        )
        return self._directory.store_evaluation("test", measured)

    @property
    def verdict(self) -> tuple[str, ...]:
        """Whether the score on the test part is any good, in a sentence or two; empty without one.

        Errors are those of :attr:`test`.
        """
        return verdict(self._evaluated.spec.task.info, self.test) if self.test else ()

    def mistakes(self, count: int = 3) -> list[Mistake]:
        """Return the most confident of the wrong predictions on the test part.

        None are found where the task does not implement :class:`zoo.interfaces.FindsMistakes`, or
        where the data has no test part. Errors are those of :attr:`test`.

        Args:
            count: How many, at most.
        """
        if not self._evaluated.finds_mistakes or not self.test:
            return []
        return self._evaluated.mistakes(self.data, count=count)

    def outcomes(self, split: str = "test") -> Outcomes | None:
        """Return what the saved weights say of every example of a split of the training's data.

        None where the task does not implement :class:`zoo.interfaces.ScoresExamples`. Errors are
        those of :attr:`test`; there is a :class:`zoo.errors.DataError` where the split is empty.

        Args:
            split: ``train``, ``validation``, ``test`` or ``all``.
        """
        return self._evaluated.outcomes(self.data, split=split)

    @cached_property
    def _evaluated(self) -> TrainedModel:
        """The model on the device that evaluates."""
        return self.model if self._device == "cpu" else self._load(self.path, self._device)

    @cached_property
    def data(self) -> Data:
        """The data of the training, as its task prepares it; errors are those of :attr:`test`."""
        if self._data is not None:
            return self._data
        return self._evaluated.prepare(data_of_run(self._directory))

    @property
    def config(self) -> Mapping[str, Any]:
        """What was trained and how, in the JSON form of :class:`zoo.spec.RunSpec`."""
        return self._directory.read_config()

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, by the name that they have after ``--set``."""
        return settings_of(self.config)

    @property
    def changed_settings(self) -> dict[str, Any]:
        """Settings that differ from those of its recipe or ``TASK/MODEL``.

        Raises:
            ZooError: The recipe, or a plugin that the run was made with, is not installed.
        """
        plain = settings_of(resolve(self.config["name"], registry()).to_json())
        return {
            name: value
            for name, value in self.settings.items()
            if name not in plain or plain[name] != value
        }

    @property
    def num_processes(self) -> int:
        """How many processes train it together, as its checkpoint says; 1 without a checkpoint.

        Raises:
            WeightsError: The checkpoint is damaged.
        """
        path = self._directory.checkpoint
        return processes(read_header(path)) if path.exists() else 1

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
        try:
            state = "interrupted" if self.interrupted else "complete"
        except WeightsError:
            state = "damaged"
        state = f"stopped: {self.stop_reason}" if self.stop_reason else state
        facts = {"path": str(self.path), "state": state, "name": self.config["name"]}
        if self._directory.weights.exists():
            for split, metrics in self.metrics.items():
                for key, value in metrics.items():
                    if isinstance(value, float) and not key.endswith(("_low", "_high")):
                        facts[f"{split} {key}"] = f"{value:.4f}"
        return facts
