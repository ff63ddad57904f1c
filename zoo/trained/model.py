"""A trained model, ready to predict, generate, embed and be evaluated."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.display import Displayed
from zoo.environment import computing
from zoo.errors import UsageError, ZooWarning, listed
from zoo.generation import Sampling, generate
from zoo.interfaces import Embeds, Explains, Explanations, Generates, Prediction, Predicts
from zoo.prediction import chunks, embed, predict
from zoo.trained.measured import MeasuredModel
from zoo.weights import writer
from zoo.weights.file import DTYPES
from zoo.weights.loading import without_folders
from zoo.weights.metrics import select
from zoo.weights.tensors import dtype_name


class TrainedModel(MeasuredModel, Displayed):
    """A trained network, in evaluation mode, with the task that knows what it means.

    Returned by :func:`zoo.load`, and as ``run.model`` by :func:`zoo.train`.

    Attributes:
        module: The torch module; its parameters have plain torch names.
        task: The task.
        spec: The records and options of task and model.
        info: The header of the weights file.
        path: The weights file.
    """

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

        Args:
            prompt: Where the text starts.
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
            raise self._cannot("embed")
        self.module.eval()
        vectors = embed(self.task, self.module, texts, per_step=per_step)
        if per_step:
            return vectors
        return np.stack(vectors) if vectors else np.empty((0, 0), np.float32)

    def explain(self, texts: Iterable[str], *, target: str = "") -> Explanations:
        """Return what each piece of a text adds to its answer.

        Args:
            texts: Any number of them.
            target: The label whose score is explained; empty: the one that is predicted.

        Returns:
            A list of :class:`zoo.interfaces.Explanation`, in order. It and they show themselves in
            a notebook.

        Raises:
            UsageError: The task explains nothing, or has no such label.
            TypeError: ``texts`` is a single string.

        Example:
            >>> import zoo
            >>> print(zoo.load("imdb-bilstm").explain(["A film to remember."])[0])
            pos: logit +0.98 = base +0.01 + words +0.97
              A[-0.16] film to[+0.24] remember[+0.87].
        """
        if isinstance(texts, str):
            raise TypeError("explain() takes several texts: give [text] for one")
        if not isinstance(self.task, Explains):
            raise self._cannot("explain its answers")
        self.module.eval()
        found = Explanations()
        for chunk in filter(None, chunks(texts)):
            with computing():
                found.extend(self.task.explain(self.module, chunk, target))
        return found

    def save(
        self,
        path: str | Path,
        *,
        dtype: str = "",
        metrics: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write a weights file.

        Metrics are written as far as they were measured on these weights. Where the weights are
        still those of the file they came from, its probe is verified first.

        Args:
            path: Where to.
            dtype: ``float32``, ``float16`` or ``bfloat16``; empty: that of the file.
            metrics: What was measured, by split, in addition to what the file has: what
                :meth:`evaluate` returned. An entry of other weights is left out, with a warning.
            overwrite: Whether an existing file is replaced.

        Raises:
            UsageError: The file exists, or there is no such dtype.
            WeightsError: The file that the weights came from does not verify, a weight is not a
                finite number, or a 16-bit dtype changes the outputs by too much.
            DiskError: The file cannot be written.
        """
        dtype = dtype or self.info["dtype"]
        if dtype not in DTYPES:
            raise UsageError(f"no dtype {dtype!r}", fix=f"dtypes are {listed(DTYPES)}")
        target = Path(path)
        if target.exists() and not overwrite:
            raise UsageError(
                "file exists",
                where=str(path),
                fix="choose another name, or overwrite it: --force, overwrite=True",
            )
        self._check_dtypes()
        weights = self.weights_sha256
        unchanged = weights == self._loaded_sha256
        if unchanged:
            self.verify()
        given = select(metrics or {}, weights, unchanged=unchanged)
        if left_out := sorted((metrics or {}).keys() - given.keys()):
            message = f"metrics of {listed(left_out)} are left out: they are of other weights"
            warnings.warn(message, ZooWarning, stacklevel=2)
        header = {
            **self.info,
            "run": without_folders(self.info["run"], self.spec),
            "metrics": {**self._metrics(weights), **given},
            "dtype": self.info["dtype"] if unchanged else "float32",
        }
        writer.save(target, self.module, self.task, header, dtype)

    def _metrics(self, weights: str) -> dict[str, dict[str, Any]]:
        """Return those metrics of the file that are of the weights as they are now."""
        unchanged = weights == self._loaded_sha256
        return select(self.info["metrics"], weights, unchanged=unchanged)

    def _check_dtypes(self) -> None:
        """Refuse a network that was converted: its file could not be loaded."""
        for name, tensor in self.module.state_dict().items():
            before = self._dtypes.get(name, tensor.dtype)
            if tensor.dtype != before:
                raise UsageError(
                    f"{name} is {dtype_name(tensor)}",
                    why=f"it was {dtype_name(before)} when the model was loaded",
                    fix="convert it back, such as with module.float()",
                )

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
            "parameters": f"{sum(p.numel() for p in self.module.parameters()):,}",
            "trained on": self.info["data"]["summary"],
        }
        for split, metrics in self._metrics(self.weights_sha256).items():
            monitor = self.spec.task.info.monitor
            if isinstance(metrics.get(monitor), int | float):
                facts[f"{split} {monitor}"] = f"{metrics[monitor]:.4f}"
        return facts
