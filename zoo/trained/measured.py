"""What a trained network reaches on data, and whether it computes what it did when it was saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from zoo.data.source import locate
from zoo.engine.evaluation import Progress, check_metrics, choose_split, evaluate_split
from zoo.environment import computing
from zoo.errors import UsageError
from zoo.interfaces import Data, FindsMistakes, Mistake, Task
from zoo.records import DatasetInfo, MetricInfo
from zoo.spec import NetworkSpec
from zoo.weights import probe
from zoo.weights.file import Weights, weights_digest


class MeasuredModel:
    """A trained network with its task, its records and the header of its weights file."""

    def __init__(
        self,
        module: nn.Module,
        task: Task,
        spec: NetworkSpec,
        weights: Weights,
        find_dataset: Callable[[str], DatasetInfo | None] = lambda name: None,
        find_metric: Callable[[str], MetricInfo] | None = None,
    ) -> None:
        self.module = module
        self.task = task
        self.spec = spec
        self.info: Mapping[str, Any] = weights.header
        self.path = weights.path
        self._weights = replace(weights, tensors={})  # They are in the module.
        self._find_dataset = find_dataset
        self._find_metric = find_metric

    @property
    def name(self) -> str:
        """The recipe, or ``TASK/MODEL``, that was trained."""
        name: str = self.info["run"]["name"]
        return name

    def prepare(self, data: str | Path | Data | None = None) -> Data:
        """Return data as the task reads it, for :meth:`evaluate` and :meth:`mistakes`.

        Args:
            data: A path or the name of a data set; None for the data of the training; what is
                prepared already is returned.

        Raises:
            UsageError: The data of the training has no name.
            DataError: The data is missing, or unfit for what the network learned.
        """
        if isinstance(data, Data):
            return data
        trained_on = self.info["data"]
        source = str(data or trained_on["name"])
        if not source:
            raise UsageError(
                "the data of the training is not known by name",
                where=str(self.path),
                why=f"it was {trained_on['summary']}",
                fix="give it with --data",
            )
        path = locate(source, self._find_dataset(source))
        return self.task.prepare(path, self.info["run"]["seed"], fit=False)

    def evaluate(
        self,
        data: str | Path | Data | None = None,
        *,
        split: str = "test",
        shuffle_steps: bool = False,
        metrics: Iterable[str] = (),
        threads: int | None = None,
        progress: Progress = lambda batches: batches,
    ) -> dict[str, Any]:
        """Evaluate on a split of some data.

        Args:
            data: A path, the name of a data set, or what the task prepared; None for the data of
                the training, where that has a name.
            split: ``train``, ``validation``, ``test`` or ``all``.
            shuffle_steps: Put the steps of every example into random order first.
            metrics: Names of further metrics.
            threads: Threads of torch; None: as many as are set.
            progress: Wraps the batches, for instance in a progress bar.

        Returns:
            The metrics, and what they were measured on.

        Raises:
            UsageError: The data of the training has no name, its steps cannot be shuffled, or a
                metric is declared for other tasks.
            DataError: The data is missing, or unfit for what the network learned.
        """
        further = [self._find_metric(name) for name in metrics] if self._find_metric else []
        check_metrics(further, self.spec.task.info)
        prepared, run = self.prepare(data), self.info["run"]
        chosen = choose_split(prepared, split, run["seed"] if shuffle_steps else None)
        with computing(threads):
            values = evaluate_split(self.task, self.module, chosen, further, progress)
        return {
            "name": run["name"],
            "weights_sha256": weights_digest(
                {name: tensor.cpu() for name, tensor in self.module.state_dict().items()}
            ),
            "split": split,
            "shuffled": shuffle_steps,
            "data": prepared.summary,
            "data_sha256": prepared.digest,
            "training_data": prepared.digest == self.info["data"]["sha256"],
            "examples": chosen.num_examples,
            **values,
        }

    @property
    def finds_mistakes(self) -> bool:
        """Whether :meth:`mistakes` finds any."""
        return isinstance(self.task, FindsMistakes)

    def mistakes(
        self, data: str | Path | Data | None = None, *, split: str = "test", count: int = 3
    ) -> list[Mistake]:
        """Return up to ``count`` wrong predictions of a split, the most confident first.

        Arguments and errors are those of :meth:`evaluate`. None are found where the task does not
        implement :class:`zoo.interfaces.FindsMistakes`.
        """
        if not isinstance(self.task, FindsMistakes):
            return []
        part = choose_split(self.prepare(data), split)
        self.module.eval()
        with computing():
            return self.task.mistakes(self.module, part, count)

    def verify(self) -> float:
        """Compute the probe of the weights file again.

        Returns:
            The largest difference from the outputs that the file stores.

        Raises:
            WeightsError: It is larger than the dtype of the file explains.
        """
        return probe.verify(self._weights, self.task, self.module)
