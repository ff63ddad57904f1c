"""A trained model, ready to predict, generate and embed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from zoo.display import Displayed
from zoo.errors import UsageError
from zoo.generation import Sampling
from zoo.interfaces import Embeds, Generates, Prediction, Predicts
from zoo.prediction import embed, predict
from zoo.records import Recipe
from zoo.runtime import building
from zoo.runtime.generation import generate
from zoo.spec import NetworkSpec
from zoo.weights import checking
from zoo.weights.comparison import Comparison
from zoo.weights.file import Weights, weights_digest
from zoo.weights.metrics import WEIGHTS, select
from zoo.weights.naming import display_name


class InferenceModel(Displayed):
    """A trained network with the task that knows what it means: what it is used for.

    Returned by :func:`zoo.load` with ``runtime="numpy"``: it is computed by NumPy and the compiled
    layers, and torch is not imported. :class:`zoo.TrainedModel` is one that torch computes.

    Args:
        module: The network.
        task: The task, with what it learned.
        spec: The records and options of task and model.
        weights: The weights file as it was read.
        recipe: The recipe of the file's name, if there is one.

    Attributes:
        module: The network.
        task: The task.
        spec: The records and options of task and model.
        info: The header of the weights file.
        path: The weights file.
    """

    def __init__(
        self,
        module: Any,
        task: Any,
        spec: NetworkSpec,
        weights: Weights,
        recipe: Recipe | None = None,
    ) -> None:
        self.module = module
        self.task = task
        self.spec = spec
        self.info: Mapping[str, Any] = weights.header
        self.path = weights.path
        self._weights = replace(weights, tensors={})  # They are in the module.
        self._loaded_sha256 = weights.header.get(WEIGHTS) or weights_digest(weights.tensors)
        self._recipe = recipe

    @property
    def name(self) -> str:
        """The recipe, or ``TASK/MODEL``, that was trained."""
        name: str = self.info["run"]["name"]
        return name

    @property
    def display_name(self) -> str:
        """The name; that of a recipe says so where the data was other than the recipe's."""
        return display_name(self.info, self._recipe)

    @property
    def weights_sha256(self) -> str:
        """Digest of the weights as they are now: that of the file, unless they were changed."""
        digest: str = self._loaded_sha256
        return digest

    @property
    def predicts(self) -> bool:
        """Whether :meth:`predict` can be called."""
        return isinstance(self.task, Predicts)

    @property
    def generates(self) -> bool:
        """Whether :meth:`generate` and :meth:`stream` can be called."""
        return isinstance(self.task, Generates)

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
            raise self._cannot("predict")
        return predict(self.task, self._network(), texts, threads)

    def stream(
        self,
        prompt: str = "",
        length: int = 500,
        sampling: Sampling | None = None,
        samples: int = 1,
    ) -> Iterator[list[str]]:
        """Yield what follows a prompt, the next token of every sample at a time.

        Args:
            prompt: Where every sample starts.
            length: Tokens to draw.
            sampling: How they are drawn; None: from the whole distribution.
            samples: Texts that are drawn side by side.

        Raises:
            UsageError: The task generates no text.
            DataError: The prompt has a character that the vocabulary lacks.
        """
        if not isinstance(self.task, Generates):
            raise self._cannot("generate text")
        if length < 0:
            raise UsageError("length is negative", why=f"got {length}")
        self.task.encode(prompt)  # Here, so that a bad prompt is reported before any output.
        return self._generate(prompt, length, sampling or Sampling(), samples)

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

        Args:
            prompt: Text to continue.
            length: Tokens to draw.
            temperature: What logits are divided by before the softmax; 0: always the likeliest
                token.
            top_k: Draw among the k likeliest tokens; 0: all.
            top_p: Draw among the likeliest tokens that together have this probability; 1: all.
            seed: Seed of the draws; None: another one each time.

        Example:
            >>> import zoo
            >>> zoo.load("island-lstm").generate("The island", 5, temperature=0)
            'The island with'
        """
        sampling = Sampling.at_temperature(temperature, top_k, top_p, seed)
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
            raise self._cannot("embed")
        vectors = embed(self.task, self._network(), texts, per_step=per_step)
        if per_step:
            return vectors
        return np.stack(vectors) if vectors else np.empty((0, 0), np.float32)

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Refuse: :meth:`zoo.TrainedModel.evaluate` is computed by torch.

        Args:
            arguments: Those of :meth:`zoo.TrainedModel.evaluate`.
            options: Likewise.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            "an evaluation is computed by torch",
            where=str(self.path),
            why="the model was loaded with runtime='numpy' or 'auto'",
            fix="load it with zoo.load(name)",
        )

    def verify(self) -> float:
        """Compute the probe of the weights file again.

        Returns:
            The largest difference from the outputs that the file stores.

        Raises:
            WeightsError: It is larger than the dtype of the file explains.
        """
        return self._compare().checked()

    def changed_versions(self) -> dict[str, tuple[str, str]]:
        """Return what has another version than at the training: by name, the one then and now."""
        return checking.changed_versions(self._weights, self.spec, self._versions())

    # What differs where torch computes.

    def _network(self) -> Any:
        """Return the network, ready to answer."""
        return self.module

    def _generate(
        self, prompt: str, length: int, sampling: Sampling, samples: int
    ) -> Iterator[list[str]]:
        return generate(self.task, self.module, prompt, length, sampling, samples)

    def _compare(self) -> Comparison:
        return building.compare(self._weights, self.task, self.module)

    def _versions(self) -> dict[str, str]:
        """Return the versions of what computes."""
        return building.versions()

    def _size(self) -> dict[str, str]:
        """Return what is said of the number of parameters."""
        return {}

    def _metrics(self, weights: str) -> dict[str, dict[str, Any]]:
        """Return those metrics of the file that are of the weights as they are now."""
        unchanged = weights == self._loaded_sha256
        return select(self.info["metrics"], weights, unchanged=unchanged)

    def _cannot(self, verb: str) -> UsageError:
        """Return the error for what the task cannot do; it names the command for what it can."""
        why = f"its task is {self.spec.task.info.name!r}"
        if isinstance(self.task, Predicts):
            why += ", which predicts: use `zoo predict`"
        elif isinstance(self.task, Generates):
            why += ", which generates text: use `zoo generate`"
        return UsageError(f"{self.name!r} cannot {verb}", why=why)

    def facts(self) -> dict[str, str]:
        """Return what a person wants to know of the model, by name."""
        facts = {
            "name": self.display_name,
            "task": self.spec.task.info.name,
            "model": self.spec.model.info.name,
            **self._size(),
            "trained on": self.info["data"]["summary"],
        }
        for split, metrics in self._metrics(self.weights_sha256).items():
            monitor = self.spec.task.info.monitor
            if isinstance(metrics.get(monitor), int | float):
                facts[f"{split} {monitor}"] = f"{metrics[monitor]:.4f}"
        return facts
