"""A trained model as it is served: what it can do, its card, and its answers as JSON values."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any

from pydantic_core import to_json

from zoo import TrainedModel
from zoo.api import load
from zoo.errors import ZooError, ZooWarning
from zoo.generation import Sampling
from zoo.interfaces import Embeds, Explains
from zoo.runtime import InferenceModel
from zoo_serve.batching import Operation
from zoo_serve.errors import Refused

# Enough of them that compiled code, which few short texts do not need, is loaded or compiled.
WARM_UP = ["the first words take the longest " * 40] * 64


@dataclass(frozen=True, slots=True)
class Card:
    """What a model is: the document of ``/v1/models``.

    Args:
        name: Under which name it is served.
        recipe: The recipe or ``TASK/MODEL`` that was trained.
        task: The task.
        architecture: The model of the network.
        capabilities: ``predict``, ``generate``, ``embed``, ``explain``: what may be asked of it.
        labels: Its labels; none where it answers otherwise.
        metrics: What was measured with these weights, by split, with 95 % intervals.
        data: What it was trained on, in a line.
        parameters: How many numbers it learned.
        bytes: Size of the weights file.
        digest: Digest of the weights file, over header and tensors.
    """

    name: str
    recipe: str
    task: str
    architecture: str
    capabilities: tuple[str, ...]
    labels: tuple[str, ...]
    metrics: Mapping[str, Mapping[str, Any]]
    data: str
    parameters: int
    bytes: int
    digest: str


def inference_model(model: TrainedModel) -> InferenceModel:
    """Return the model as NumPy and the compiled layers compute it, which takes less time a batch.

    Where they cannot, or where its weights are no longer those of its file, it is returned itself.
    The probe is computed by what answers, as in :func:`zoo.load`.
    """
    if any(parameter.device.type != "cpu" for parameter in model.module.parameters()):
        return model
    try:
        with warnings.catch_warnings():
            # Said of the model already, or left unsaid of published weights.
            warnings.filterwarnings("ignore", r".* was trained with [^;]*$", ZooWarning)
            found = load(model.path, runtime="numpy")
    except ZooError:
        return model
    return found if found.weights_sha256 == model.weights_sha256 else model


class ServedModel:
    """A trained model under a name.

    Args:
        name: The name.
        model: The model.
    """

    def __init__(self, name: str, model: TrainedModel) -> None:
        self.name = name
        self.model = model
        self._inference = inference_model(model)
        able = {
            "predict": model.predicts,
            "generate": model.generates,
            "embed": isinstance(model.task, Embeds),
            "explain": isinstance(model.task, Explains),
        }
        self.capabilities = tuple(name for name, can in able.items() if can)
        self._labels: tuple[str, ...] = ()

    def warm_up(self) -> None:
        """Answer once, so that what is compiled or read late does not delay the first client."""
        with suppress(ZooError):  # Such as of a task that reads something else than words.
            if "predict" in self.capabilities:
                found, *_ = self._values(("predict", ""), WARM_UP)
                self._labels = tuple(found.get("scores") or ())
            if "generate" in self.capabilities:
                deque(self.stream("", 8, Sampling()), maxlen=0)

    def require(self, capability: str) -> None:
        """Refuse what the model cannot do.

        Raises:
            Refused: It is not among the capabilities.
        """
        if capability not in self.capabilities:
            can = ", ".join(self.capabilities) or "nothing that is served"
            task = self.model.spec.task.info.name
            message = f"{self.name!r} cannot {capability}: its task {task!r} can {can}"
            raise Refused(501, "not_supported", message)

    def compute(self, operation: Operation, texts: list[str]) -> Sequence[bytes]:
        """Return a result for each text, as JSON."""
        return [as_json(each) for each in self._values(operation, texts)]

    def _values(self, operation: Operation, texts: list[str]) -> list[Any]:
        kind, argument = operation
        if kind == "embed":
            return [vector.tolist() for vector in self._inference.embed(texts)]
        if kind == "explain":
            explanations = self.model.explain(texts, target=argument)
            return [_without_text(asdict(each)) for each in explanations]
        predictions = list(self._inference.predict(texts))
        # All are of one kind. Not by asdict, which copies every score: longer than the network.
        names = [field.name for field in fields(predictions[0]) if field.name != "text"]
        return [{name: getattr(each, name) for name in names} for each in predictions]

    def stream(self, prompt: str, length: int, sampling: Sampling) -> Iterator[str]:
        """Yield the tokens that follow a prompt.

        Raises:
            DataError: The prompt has a character that the vocabulary lacks.
        """
        return (token for (token,) in self.model.stream(prompt, length, sampling))

    def card(self) -> Card:
        """Return what the model is."""
        model = self.model
        return Card(
            name=self.name,
            recipe=model.display_name,
            task=model.spec.task.info.name,
            architecture=model.spec.model.info.name,
            capabilities=self.capabilities,
            labels=self._labels,
            metrics={
                split: {key: value for key, value in values.items() if _is_shown(value)}
                for split, values in model.info["metrics"].items()
            },
            data=model.info["data"]["summary"],
            parameters=sum(parameter.numel() for parameter in model.module.parameters()),
            bytes=model.path.stat().st_size,
            digest=model.info["digest"],
        )


def as_json(value: Any) -> bytes:
    """Return a value as JSON; numbers that are not finite, which JSON lacks, become null.

    Args:
        value: Of types that JSON has; tuples are lists.
    """
    return to_json(value, inf_nan_mode="null")


def _is_shown(value: object) -> bool:
    """Return whether a metric is a number, or some by name such as baselines; no large table."""
    if isinstance(value, Mapping):
        return all(isinstance(inner, int | float | str) for inner in value.values())
    return isinstance(value, int | float | str)


def _without_text(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "text"}
