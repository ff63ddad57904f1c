"""What a trained network reaches on data, and whether it computes what it did when it was saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from torch import nn

from zoo.data.source import is_downloaded, locate
from zoo.engine.evaluation import Progress, check_metrics, choose_split, evaluate_split
from zoo.environment import computing, versions
from zoo.errors import DataError, UsageError
from zoo.interfaces import Data, FindsMistakes, Mistake, Outcomes, ScoresExamples, Task
from zoo.records import DatasetInfo, MetricInfo, Recipe
from zoo.runtime import InferenceModel
from zoo.spec import SAMPLE, NetworkSpec
from zoo.weights import probe
from zoo.weights.comparison import Comparison
from zoo.weights.file import Weights
from zoo.weights.metrics import WEIGHTS
from zoo.weights.tensors import identify


class MeasuredModel(InferenceModel):
    """A trained network with its task, its records and the header of its weights file.

    Args:
        module: The network, in evaluation mode.
        task: The task, with what it learned.
        spec: The records and options of task and model.
        weights: The weights file as it was read.
        find_dataset: From a name to its data set; None where it names none.
        find_metric: From a name to its metric; None: there are no further metrics.
        recipe: The recipe of the file's name, if there is one.
    """

    module: nn.Module
    task: Task

    def __init__(
        self,
        module: nn.Module,
        task: Task,
        spec: NetworkSpec,
        weights: Weights,
        find_dataset: Callable[[str], DatasetInfo | None] = lambda name: None,
        find_metric: Callable[[str], MetricInfo] | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        super().__init__(module, task, spec, weights, recipe)
        self._dtypes = {name: tensor.dtype for name, tensor in module.state_dict().items()}
        self._find_dataset = find_dataset
        self._find_metric = find_metric

    @property
    def weights_sha256(self) -> str:
        """Digest of the weights as they are now: that of the file, unless they were changed."""
        return identify(self.module, self.info["dtype"])

    def prepare(self, data: str | Path | Data | None = None) -> Data:
        """Return data as the task reads it, for :meth:`evaluate` and :meth:`mistakes`.

        Args:
            data: A path or the name of a data set; None for the data of the training, where that
                is the sample or a data set that has been downloaded; what is prepared already is
                returned.

        Raises:
            UsageError: The data of the training is not known by name, or would have to be
                downloaded.
            DataError: The data is missing, or unfit for what the network learned.
        """
        if isinstance(data, Data):
            return data
        path = locate(str(data), self._find_dataset(str(data))) if data else self._training_data()
        return self.task.prepare(path, self.info["run"]["seed"], fit=False)

    def _training_data(self) -> Path | None:
        """Return the data that the file names.

        Whoever made the file chose the name. It opens no path, and starts no download.
        """
        name = self.info["data"]["name"]
        if name == SAMPLE:
            return None
        try:
            dataset = self._find_dataset(name) if name else None
        except DataError:  # No data set has that name.
            dataset = None
        if dataset is None:
            raise UsageError(
                "the data of the training is not known by name",
                where=str(self.path),
                why=f"it was {self.info['data']['summary']}",
                fix="give it with --data",
            )
        check_downloaded(dataset, str(self.path))
        return locate(name, dataset)

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
            data: As for :meth:`prepare`.
            split: ``train``, ``validation``, ``test`` or ``all``.
            shuffle_steps: Put the steps of every example into random order first.
            metrics: Names of further metrics.
            threads: Threads of torch; None: as many as are set.
            progress: Wraps the batches, for instance in a progress bar.

        Returns:
            The metrics, and what they were measured on: ``weights_sha256``, ``data_sha256``.

        Raises:
            UsageError: As for :meth:`prepare`; or the steps of the data cannot be shuffled, or a
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
            "name": self.display_name,
            WEIGHTS: self.weights_sha256,
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

        Errors are those of :meth:`evaluate`. None are found where the task does not
        implement :class:`zoo.interfaces.FindsMistakes`.

        Args:
            data: As for :meth:`prepare`.
            split: ``train``, ``validation``, ``test`` or ``all``.
            count: How many, at most.
        """
        if not isinstance(self.task, FindsMistakes):
            return []
        part = choose_split(self.prepare(data), split)
        self.module.eval()
        with computing():
            return self.task.mistakes(self.module, part, count)

    def outcomes(
        self, data: str | Path | Data | None = None, *, split: str = "test"
    ) -> Outcomes | None:
        """Return what the network says of every example of a split.

        Errors are those of :meth:`evaluate`. None where the task does not implement
        :class:`zoo.interfaces.ScoresExamples`.

        Args:
            data: As for :meth:`prepare`.
            split: ``train``, ``validation``, ``test`` or ``all``.
        """
        if not isinstance(self.task, ScoresExamples):
            return None
        part = choose_split(self.prepare(data), split)
        self.module.eval()
        with computing():
            return self.task.outcomes(self.module, part)

    def _compare(self) -> Comparison:
        return probe.compare(self._weights, self.task, self.module)

    def _versions(self) -> dict[str, str]:
        return versions()


def check_downloaded(dataset: DatasetInfo, where: str) -> None:
    """Refuse a data set that a file names and that would be downloaded.

    Raises:
        UsageError: It is not in the cache.
    """
    if not is_downloaded(dataset):
        raise UsageError(
            f"the data {dataset.name!r} has not been downloaded",
            where=where,
            why="a file does not start a download by itself",
            fix=f"give --data {dataset.name}, or a copy",
        )
