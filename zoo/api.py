"""The public functions for programs: what there is, and trained networks ready for use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from zoo import catalog as catalogs
from zoo.building import make_model
from zoo.catalog import Catalog
from zoo.engine.rundir import RunDirectory
from zoo.errors import UsageError, WeightsError
from zoo.generation import Sampling
from zoo.generation import generate as sample
from zoo.interfaces import Generates, Prediction, Predicts, Task
from zoo.prediction import predict as answer
from zoo.records import ModelInfo, Value
from zoo.registry import Registry, suggestion
from zoo.weights.file import read
from zoo.weights.network import build

__all__ = ["Loaded", "create_model", "list_models", "list_runs", "list_tasks", "load"]


def list_models(pattern: str = "") -> list[str]:
    """Return the names of the installed models that match a pattern such as ``*lstm*``."""
    return catalogs.matching({info.name: info for info in Registry.installed().models}, pattern)


def list_tasks(pattern: str = "") -> list[str]:
    """Return the names of the installed tasks that match a pattern."""
    return catalogs.matching({info.name: info for info in Registry.installed().tasks}, pattern)


def list_runs(pattern: str = "") -> list[str]:
    """Return the names of the published runs that match a pattern."""
    return catalogs.matching(catalogs.read().runs, pattern)


def create_model(name: str, input_size: int, **options: Value) -> nn.Module:
    """Build an untrained model.

    Args:
        name: As in :func:`list_models`.
        input_size: Size of an input vector.
        **options: Options that differ from their defaults; ``zoo show NAME`` lists them.

    Returns:
        A module with ``forward(inputs (B, T, input_size), lengths (B,), state=None)`` that gives
        outputs (B, T, output_size) and the state after each row's last real step.

    Raises:
        UsageError: The name or an option is unknown, or a value is not allowed.

    Example:
        >>> import torch, zoo
        >>> model = zoo.create_model("bilstm", 20, hidden_size=64)
        >>> outputs, state = model(torch.zeros(2, 5, 20), torch.tensor([5, 3]))
        >>> outputs.shape
        torch.Size([2, 5, 128])
    """
    info = Registry.installed().model(name)
    return make_model(info, input_size, _checked(info, options))


def load(path: str | Path, device: str = "cpu") -> Loaded:
    """Load exported weights.

    Args:
        path: A file that ``zoo export`` made, a run directory, or the name of a published run
            whose weights ship with the zoo.
        device: Where to, in torch's words.

    Raises:
        WeightsError: The file is not what it says it is.
        PluginError: A plugin that it needs is not installed.
    """
    found = read(locate_weights(path, catalogs.read()))
    task, network = build(found, Registry.installed())
    return Loaded(network.to(device), task, found.header)


def locate_weights(name: str | Path, catalog: Catalog) -> Path:
    """Return the weights file of a path, a run directory or a published run.

    Raises:
        WeightsError: There is none.
    """
    path = Path(name)
    if path.is_dir():
        run = RunDirectory(path)
        if run.exists() and not run.weights.exists():
            raise WeightsError(
                "no weights yet", where=str(path), fix="train on with `zoo train ... --resume`"
            )
        return run.weights
    if path.exists():
        return path
    row = catalog.runs.get(str(name))
    published = catalog.weights_path(row) if row else None
    if published is None:
        why = "the run has no published weights" if row else "no such file, run directory or run"
        near = "" if row else suggestion(str(name), catalog.runs)
        raise WeightsError(
            f"no weights {str(name)!r}{near}",
            why=why,
            fix="give a file that `zoo export` made",
        )
    return published


class Loaded:
    """A trained network, in evaluation mode, with the task that knows what it means.

    Attributes:
        network: The network around the model; its parameters have plain torch names.
        task: The task, restored.
        info: The header of the weights file.
    """

    def __init__(self, network: nn.Module, task: Task, info: Mapping[str, Any]) -> None:
        self.network = network
        self.task = task
        self.info = info

    def predict(self, texts: Iterable[str], *, threads: int = 1) -> Iterator[Prediction]:
        """Answer texts, in order and in constant memory.

        Args:
            texts: Any number of them.
            threads: How many threads share the texts out among them. Each computes with as many of
                torch's threads as are set: more than one is fastest after
                ``torch.set_num_threads(1)``.

        Raises:
            UsageError: The task answers no texts, or there are no threads.
            TypeError: ``texts`` is a single text, which would be read letter by letter.
        """
        if isinstance(texts, str):
            raise TypeError("predict() takes several texts: give [text] for one")
        if threads < 1:
            raise UsageError("threads are fewer than one", why=f"got {threads}")
        self.network.eval()
        if not isinstance(self.task, Predicts):
            raise UsageError(f"task {self.info['task']['name']!r} predicts nothing")
        return answer(self.task, self.network, texts, threads)

    def stream(
        self,
        prompt: str = "",
        length: int = 500,
        sampling: Sampling | None = None,
        samples: int = 1,
    ) -> Iterator[list[str]]:
        """Yield what follows a prompt, a symbol of every sample at a time.

        Raises:
            UsageError: The task writes no text.
            DataError: The prompt has a character that the vocabulary lacks.
        """
        if not isinstance(self.task, Generates):
            raise UsageError(f"task {self.info['task']['name']!r} generates nothing")
        if length < 0:
            raise UsageError("length is negative", why=f"got {length}")
        self.network.eval()
        self.task.encode(prompt)  # Here, so that a bad prompt is told before anything is written.
        return sample(self.task, self.network, prompt, length, sampling or Sampling(), samples)

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
        """Return the prompt and ``length`` symbols that follow it; errors as for :meth:`stream`."""
        scale = 1 / temperature if temperature else float("inf")
        sampling = Sampling(scale, top_k, top_p, seed)
        return prompt + "".join(symbol for (symbol,) in self.stream(prompt, length, sampling))


def _checked(info: ModelInfo, options: Mapping[str, Value]) -> dict[str, Value]:
    values = {key: option.default for key, option in info.options.items()}
    for key, value in options.items():
        if key not in info.options:
            raise UsageError(
                f"model {info.name!r} has no option {key!r}{suggestion(key, info.options)}"
            )
        try:
            values[key] = info.options[key].check(value)
        except ValueError as error:
            raise UsageError(f"option {key!r} of {info.name}", why=str(error)) from error
    return values
