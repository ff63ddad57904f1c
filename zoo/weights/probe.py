"""The probe of a weights file: inputs, and what the network and its task must make of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import DataError, PluginError, WeightsError
from zoo.interfaces import Batch, ProbesTexts, Task
from zoo.weights.file import Weights
from zoo.weights.header import canonical

# How far outputs may differ from the stored ones, by dtype of the file. Across machines and wheels
# float32 differs by about 1e-5; rounding weights to 16 bits costs more.
TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 1e-2}

# The probe is computed whenever a file is loaded for the first time.
MAX_STEPS = 1 << 14
MAX_NUMBERS = 1 << 20
MAX_TEXTS, MAX_CHARACTERS = 16, 100_000

# What the digest of settings leaves out: answers do not depend on it, or it has a digest already.
_OTHER_KEYS = {
    "format", "requires", "zoo", "run", "data", "metrics", "environment", "dtype", "probe",
    "weights_sha256", "digest",
}  # fmt: skip

# What computing a batch that the network was not made for can raise.
_UNFIT = (
    LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError,
    AssertionError, MemoryError,
)  # fmt: skip


def make(network: nn.Module, task: Task, header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the probe of a network.

    Args:
        network: The network.
        task: Its task.
        header: The header of the weights file, with ``run`` and ``task_state``.

    Returns:
        ``batch``, field by field, and its ``outputs``; ``texts`` and their ``answers``, where the
        task has them; ``sha256`` of what the answers depend on besides the weights.

    Raises:
        PluginError: The probe is larger than one may be, or has values that JSON has not.
        WeightsError: An output is not a finite number.
    """
    batch = task.probe()
    values = {f.name: getattr(batch, f.name) for f in fields(batch)}
    found = outputs(network, task, batch)
    if not bool(found.isfinite().all()):
        raise WeightsError("the outputs of the probe are not finite numbers")
    made: dict[str, Any] = {
        "batch": {k: v.tolist() for k, v in values.items() if isinstance(v, Tensor)},
        "outputs": found.tolist(),
        "sha256": settings_digest(header),
    }
    if isinstance(task, ProbesTexts):
        made["texts"] = _short_enough(task.probe_texts())
        made["answers"] = answers(network, task, made["texts"])
    try:
        _check_texts(made)
        _batch(task, made["batch"])
        canonical(made)
    except _UNFIT as error:
        raise PluginError(f"the probe of {type(task).__name__} is unfit", why=str(error)) from error
    return made


def _short_enough(texts: Sequence[str]) -> list[str]:
    """Return the texts that a probe has room for: words may be of any length."""
    chosen: list[str] = []
    for text in texts:
        if len(chosen) < MAX_TEXTS and sum(map(len, chosen)) + len(text) <= MAX_CHARACTERS:
            chosen.append(text)
    return chosen


def settings_digest(header: Mapping[str, Any]) -> str:
    """Return the sha256 of what answers depend on besides the weights.

    That is what the task learned, the options of the network's parts, and whatever an extension
    wrote into the header.
    """
    run = header["run"]
    parts = {"task": run["task"], "model": run["model"], **run["submodels"]}
    rest = {key: value for key, value in header.items() if key not in _OTHER_KEYS}
    document = {**rest, "options": {part: made["options"] for part, made in parts.items()}}
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def outputs(network: nn.Module, task: Task, batch: Batch) -> Tensor:
    """Return a network's outputs for a batch, in evaluation mode, in float32 on the CPU."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        found = task.probe_outputs(network, batch.to(next(network.parameters()).device))
    network.train(training)
    return found.float().cpu()


def answers(network: nn.Module, task: ProbesTexts, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return what each text becomes, in evaluation mode."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        found = [dict(answer) for answer in task.probe_answers(network, texts)]
    network.train(training)
    return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """What computing a probe again came to.

    Args:
        path: The weights file.
        difference: The largest difference from the stored outputs.
        tolerance: How large the dtype of the file allows it to be.
        problem: What differs that must be the same: token ids, an answer. Empty: nothing.
    """

    path: Path
    difference: float
    tolerance: float
    problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether nothing differs by more than it may."""
        return not self.problem and self.difference <= self.tolerance

    def error(self) -> WeightsError:
        """Return the error for a probe that does not agree."""
        return WeightsError(
            "the probe does not agree",
            where=str(self.path),
            why=self.problem or f"outputs differ by {self.difference:.2g}",
            fix="install the versions that `zoo inspect` shows",
        )


def verify(weights: Weights, task: Task, network: nn.Module) -> float:
    """Compute the probe and return the largest difference from the stored outputs.

    Raises:
        WeightsError: The difference is larger than the dtype of the file explains, or as for
            :func:`compare`.
    """
    compared = compare(weights, task, network)
    if not compared.agrees:
        raise compared.error()
    return compared.difference


def compare(weights: Weights, task: Task, network: nn.Module) -> Comparison:
    """Compute the probe again.

    Raises:
        WeightsError: The probe is malformed, or was made with other settings than the file has.
    """
    probe, where = weights.header["probe"], str(weights.path)
    # Files of 0.3 and before have no digests but that of the whole file.
    has_digests = "weights_sha256" in weights.header
    if ("sha256" in probe) != has_digests or (
        has_digests and probe["sha256"] != settings_digest(weights.header)
    ):
        raise WeightsError(
            "the probe was made with other settings",
            where=where,
            why="options of the network, or what the task learned, were changed afterwards",
            fix="export it again",
        )
    tolerance = TOLERANCE[weights.header["dtype"]]
    difference, problem = 0.0, ""
    try:
        _check_texts(probe)
        batch = _batch(task, probe["batch"])
        difference = _difference(outputs(network, task, batch), torch.tensor(probe["outputs"]))
        if "texts" in probe and isinstance(task, ProbesTexts):
            found = answers(network, task, probe["texts"])
            for text, one, other in zip(probe["texts"], found, probe["answers"], strict=True):
                apart, differs = _compare(text, one, other, tolerance)
                difference, problem = max(difference, apart), problem or differs
    except DataError as error:  # Of a text that the task cannot read.
        problem = str(error)
    except _UNFIT as error:
        why = str(error).partition("\n")[0]
        raise WeightsError("the probe is malformed", where=where, why=why) from error
    return Comparison(weights.path, difference, tolerance, problem)


def _difference(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        wanted = tuple(expected.shape)
        raise ValueError(f"outputs have another shape: {tuple(found.shape)} instead of {wanted}")
    if not found.numel():
        return 0.0
    # NaN is larger than any tolerance.
    return float((found - expected).abs().max().nan_to_num(torch.inf))


def _compare(
    text: str, found: Mapping[str, Any], stored: Mapping[str, Any], tolerance: float
) -> tuple[float, str]:
    """Compare what a text becomes; return the difference of the outputs, and what else differs."""
    shown = repr(text if len(text) <= 40 else f"{text[:40]}...")
    difference = _difference(torch.tensor(found["outputs"]), torch.tensor(stored["outputs"]))
    if list(found["token_ids"]) != stored["token_ids"]:
        return difference, f"the text {shown} has other token ids"
    one, other = found["answer"], stored["answer"]
    if isinstance(one, float) and isinstance(other, float | int):
        same = math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    else:
        same = one == other
    return difference, "" if same else f"the answer to {shown} is {one!r} and was {other!r}"


def _batch(task: Task, stored: Mapping[str, Any]) -> Batch:
    """Return the stored batch, of the class that the task uses.

    Raises:
        ValueError: It is too large, or its rows have no lengths.
        KeyError: It is incomplete.
    """
    tensors: dict[str, Any] = {name: torch.tensor(value) for name, value in stored.items()}
    if missing := {"inputs", "lengths"} - tensors.keys():
        raise KeyError(f"the batch has no {min(missing)}")
    inputs, lengths = tensors["inputs"], tensors["lengths"]
    if inputs.dim() < 2 or lengths.shape != inputs.shape[:1] or lengths.dtype != torch.int64:
        raise ValueError("the batch has no rows with a length each")
    if bool((lengths < 0).any()):
        raise ValueError("a row of the batch has a negative length")
    # A row may have more steps than inputs, where its outputs are generated.
    steps = inputs.shape[0] * max(inputs.shape[1], int(lengths.max()))
    if steps > MAX_STEPS or sum(tensor.numel() for tensor in tensors.values()) > MAX_NUMBERS:
        raise ValueError(f"the batch has {steps:,} steps, and {MAX_STEPS:,} are allowed")
    return replace(task.probe(), **tensors)


def _check_texts(probe: Mapping[str, Any]) -> None:
    """Check the form of texts and answers, if there are any.

    Raises:
        ValueError: They are malformed, or too large.
    """
    texts, stored = probe.get("texts", []), probe.get("answers", [])
    if not (isinstance(texts, list) and isinstance(stored, list) and len(texts) == len(stored)):
        raise ValueError("texts and answers are not two lists of the same length")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a text is not a string")
    if len(texts) > MAX_TEXTS or sum(map(len, texts)) > MAX_CHARACTERS:
        raise ValueError(f"the texts are more than {MAX_TEXTS}, or too long")
    for answer in stored:
        if not (
            isinstance(answer, Mapping) and answer.keys() >= {"token_ids", "answer", "outputs"}
        ):
            raise ValueError("an answer lacks token_ids, answer or outputs")
        if not bool(torch.tensor(answer["outputs"]).isfinite().all()):
            raise ValueError("an output is not a finite number")
