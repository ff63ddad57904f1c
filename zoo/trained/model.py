"""A trained model, ready to predict, generate, embed and be evaluated."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from torch import nn

from zoo.environment import computing
from zoo.errors import UsageError, ZooWarning, listed
from zoo.files import refuse_existing
from zoo.generation import Sampling, generate
from zoo.interfaces import Explains, Explanations, Generates
from zoo.prediction import chunks
from zoo.trained.measured import MeasuredModel
from zoo.weights import writer
from zoo.weights.components import without_folders
from zoo.weights.header import DTYPE_NAMES
from zoo.weights.metrics import select
from zoo.weights.quantization import QUANTIZED
from zoo.weights.tensors import dtype_name


class TrainedModel(MeasuredModel):
    """A trained network, in evaluation mode, with the task that knows what it means.

    Returned by :func:`zoo.load`, and as ``run.model`` by :func:`zoo.train`.

    Attributes:
        module: The torch module; its parameters have plain torch names.
        task: The task.
        spec: The records and options of task and model.
        info: The header of the weights file.
        path: The weights file.
    """

    def _network(self) -> nn.Module:
        return self.module.eval()

    def _generate(
        self, prompt: str, length: int, sampling: Sampling, samples: int
    ) -> Iterator[list[str]]:
        task = cast("Generates", self.task)
        return generate(task, self._network(), prompt, length, sampling, samples)

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
            dtype: ``float32``, ``float16``, ``bfloat16`` or ``int8``; empty: that of the file.
                What ``int8`` costs is measured by :func:`zoo.api.export` with ``quantize``.
            metrics: What was measured, by split, in addition to what the file has: what
                :meth:`evaluate` returned. An entry of other weights is left out, with a warning.
            overwrite: Whether an existing file is replaced.

        Raises:
            UsageError: The file exists, or there is no such dtype.
            WeightsError: The file that the weights came from does not verify, a weight is not a
                finite number, or another dtype changes the outputs by too much.
            DiskError: The file cannot be written.
        """
        dtype = dtype or self.info["dtype"]
        if dtype not in (known := (*DTYPE_NAMES, QUANTIZED)):
            raise UsageError(f"no dtype {dtype!r}", fix=f"dtypes are {listed(known)}")
        target = Path(path)
        if not overwrite:
            refuse_existing(target)
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
        if not unchanged:
            header.pop("quantization", None)  # It was measured on other weights.
        writer.save(target, self.module, self.task, header, dtype)

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

    def _size(self) -> dict[str, str]:
        return {"parameters": f"{sum(p.numel() for p in self.module.parameters()):,}"}
