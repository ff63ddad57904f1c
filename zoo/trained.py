"""A trained model, ready to predict, generate, embed and be evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from zoo.data.source import locate
from zoo.display import Displayed
from zoo.engine.evaluation import Progress, check_metrics, choose_split, evaluate_split
from zoo.environment import computing
from zoo.errors import UsageError
from zoo.generation import Sampling, generate
from zoo.interfaces import Embeds, Generates, Prediction, Predicts, Task
from zoo.prediction import embed, predict
from zoo.records import DatasetInfo, MetricInfo
from zoo.spec import NetworkSpec
from zoo.weights import probe, writer
from zoo.weights.file import DTYPES, Weights


class TrainedModel(Displayed):
    """A trained network, in evaluation mode, with the task that knows what it means.

    Returned by :func:`zoo.load`, and as ``run.model`` by :func:`zoo.train`.

    Attributes:
        module: The torch module; its parameters have plain torch names.
        task: The task.
        spec: The records and options of task and model.
        info: The header of the weights file.
        path: The weights file.
    """

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

    def predict(self, texts: Iterable[str], *, threads: int = 1) -> Iterator[Prediction]:
        """Predict texts, in order and in constant memory.

        Args:
            texts: Any number of them.
            threads: How many threads share the texts. Each computes with as many of torch's
                threads as are set: more than one is fastest after ``torch.set_num_threads(1)``.

        Raises:
            UsageError: The task predicts nothing, or there are no threads.
            TypeError: ``texts`` is a single string.

        Example:
            >>> import zoo
            >>> model = zoo.load("imdb-bilstm")
            >>> [p.label for p in model.predict(["A film to remember.", "Dull and far too long."])]
            ['pos', 'neg']
        """
        if isinstance(texts, str):
            raise TypeError("predict() takes several texts: give [text] for one")
        if threads < 1:
            raise UsageError("threads are fewer than one", why=f"got {threads}")
        if not isinstance(self.task, Predicts):
            raise self._cannot("predict", Predicts)
        self.module.eval()
        return predict(self.task, self.module, texts, threads)

    def stream(
        self,
        prompt: str = "",
        length: int = 500,
        sampling: Sampling | None = None,
        samples: int = 1,
    ) -> Iterator[list[str]]:
        """Yield what follows a prompt, the next token of every sample at a time.

        Raises:
            UsageError: The task generates no text.
            DataError: The prompt has a character that the vocabulary lacks.
        """
        if not isinstance(self.task, Generates):
            raise self._cannot("generate", Generates)
        if length < 0:
            raise UsageError("length is negative", why=f"got {length}")
        self.module.eval()
        self.task.encode(prompt)  # Here, so that a bad prompt is reported before any output.
        return generate(self.task, self.module, prompt, length, sampling or Sampling(), samples)

    def generate(
        self,
        prompt: str = "",
        length: int = 500,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> str:
        """Return the prompt and ``length`` tokens that follow it; errors as for :meth:`stream`.

        Example:
            >>> import zoo
            >>> zoo.load("island-lstm").generate("The island", 5, temperature=0)
            'The island with'
        """
        scale = 1 / temperature if temperature else float("inf")
        sampling = Sampling(scale, top_k, top_p, seed)
        return prompt + "".join(token for (token,) in self.stream(prompt, length, sampling))

    def embed(self, texts: Iterable[str], *, per_step: bool = False) -> Any:
        """Return vectors of texts.

        Args:
            texts: Any number of them.
            per_step: Whether to return the outputs of every step instead of one pooled vector.

        Returns:
            A float32 array (M, F) of M texts; or where ``per_step`` a list of arrays (T, F).

        Raises:
            UsageError: The task embeds nothing.
            TypeError: ``texts`` is a single string.

        Example:
            >>> import zoo
            >>> zoo.load("imdb-bilstm").embed(["A film to remember."]).shape
            (1, 384)
        """
        if isinstance(texts, str):
            raise TypeError("embed() takes several texts: give [text] for one")
        if not isinstance(self.task, Embeds):
            raise self._cannot("embed", Embeds)
        self.module.eval()
        vectors = embed(self.task, self.module, texts, per_step=per_step)
        if per_step:
            return vectors
        return np.stack(vectors) if vectors else np.empty((0, 0), np.float32)

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        split: str = "test",
        shuffle_steps: bool = False,
        metrics: Iterable[str] = (),
        threads: int | None = None,
        progress: Progress = lambda batches: batches,
    ) -> dict[str, Any]:
        """Evaluate on a split of some data.

        Args:
            data: A path or the name of a data set; None for the data of the training, where that
                has a name.
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
        run, trained_on = self.info["run"], self.info["data"]
        source = str(data or trained_on["name"])
        if not source:
            raise UsageError(
                "the data of the training is not known by name",
                where=str(self.path),
                why=f"it was {trained_on['summary']}",
                fix="give it with --data",
            )
        path = locate(source, self._find_dataset(source))
        prepared = self.task.prepare(path, run["seed"], fit=False)
        chosen = choose_split(prepared, split, run["seed"] if shuffle_steps else None)
        with computing(threads):
            values = evaluate_split(self.task, self.module, chosen, further, progress)
        return {
            "name": run["name"],
            "split": split,
            "shuffled": shuffle_steps,
            "data": prepared.summary,
            "data_sha256": prepared.digest,
            "training_data": prepared.digest == trained_on["sha256"],
            "examples": chosen.num_examples,
            **values,
        }

    def verify(self) -> float:
        """Compute the probe of the weights file again.

        Returns:
            The largest difference from the outputs that the file stores.

        Raises:
            WeightsError: It is larger than the dtype of the file explains.
        """
        return probe.verify(self._weights, self.task, self.module)

    def save(
        self,
        path: str | Path,
        *,
        dtype: str = "float32",
        metrics: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write a weights file.

        Args:
            path: Where to.
            dtype: ``float32``, ``float16`` or ``bfloat16``.
            metrics: What was measured, by split, in addition to what the file has.
            overwrite: Whether an existing file is replaced.

        Raises:
            UsageError: The file exists, or there is no such dtype.
            WeightsError: A 16-bit dtype changes the outputs by too much.
            DiskError: The file cannot be written.
        """
        if dtype not in DTYPES:
            raise UsageError(f"no dtype {dtype!r}", fix=f"dtypes are {', '.join(DTYPES)}")
        target = Path(path)
        if target.exists() and not overwrite:
            raise UsageError(
                "file exists",
                where=str(path),
                fix="choose another name, or overwrite it: --force, overwrite=True",
            )
        measured = {**self.info["metrics"], **(metrics or {})}
        writer.save(target, self.module, self.task, {**self.info, "metrics": measured}, dtype)

    def _cannot(self, verb: str, capability: type[Any]) -> UsageError:
        other = ""
        if isinstance(self.task, Generates):
            other = "use `zoo generate`"
        elif isinstance(self.task, Predicts):
            other = "use `zoo predict`"
        return UsageError(
            f"task {self.spec.task.info.name!r} cannot {verb}",
            where=str(self.path),
            why=f"it does not implement zoo.interfaces.{capability.__name__}",
            fix=other,
        )

    def facts(self) -> dict[str, str]:
        """Return what a person wants to know of the model, by name."""
        facts = {
            "name": self.name,
            "task": self.spec.task.info.name,
            "model": self.spec.model.info.name,
            "parameters": f"{sum(p.numel() for p in self.module.parameters()):,}",
            "trained on": self.info["data"]["summary"],
        }
        for split, metrics in self.info["metrics"].items():
            monitor = self.spec.task.info.monitor
            if monitor in metrics:
                facts[f"{split} {monitor}"] = f"{metrics[monitor]:.4f}"
        return facts
