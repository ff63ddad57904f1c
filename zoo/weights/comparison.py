"""A probe that is computed again beside what a weights file stores. No torch here."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, WeightsError
from zoo.weights.components import UNFIT
from zoo.weights.file import Weights
from zoo.weights.header import canonical

# How far outputs may differ from the stored ones, by dtype of the file. Across machines and wheels
# float32 differs by about 1e-5; rounding weights to 16 bits costs more.
# The outputs of 8-bit weights are those of the rounded weights.
TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 1e-2, "int8": 1e-4}

# The probe is computed whenever a file is loaded for the first time.
MAX_STEPS = 1 << 14
MAX_NUMBERS = 1 << 20
MAX_TEXTS, MAX_CHARACTERS = 16, 100_000

# What the digest of settings leaves out: answers do not depend on it, or it has a digest already.
_OTHER_KEYS = {
    "format", "requires", "zoo", "run", "data", "metrics", "environment", "dtype", "probe",
    "weights_sha256", "digest", "quantization",
}  # fmt: skip

Outputs = Callable[[Mapping[str, Any]], npt.ArrayLike]
"""From a stored batch, field by field as lists, to the outputs of the network."""

Answers = Callable[[Sequence[str]], Sequence[Mapping[str, Any]]]
"""From texts to what they become, as :meth:`zoo.interfaces.ProbesTexts.probe_answers`."""


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

    def checked(self) -> float:
        """Return the difference.

        Raises:
            WeightsError: The probe does not agree.
        """
        if not self.agrees:
            raise self.error()
        return self.difference

    def error(self) -> WeightsError:
        """Return the error for a probe that does not agree."""
        return WeightsError(
            "the probe does not agree",
            where=str(self.path),
            why=self.problem or f"outputs differ by {self.difference:.2g}",
            fix="install the versions that `zoo inspect` shows",
        )


def compare(weights: Weights, outputs: Outputs, answers: Answers | None) -> Comparison:
    """Compute the probe again.

    Args:
        weights: The file.
        outputs: Computes a batch.
        answers: Answers texts; None: the task has no texts.

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
        check_texts(probe)
        difference = _difference(outputs(probe["batch"]), probe["outputs"])
        if "texts" in probe and answers is not None:
            found = answers(probe["texts"])
            for text, one, other in zip(probe["texts"], found, probe["answers"], strict=True):
                apart, differs = _compare(text, one, other, tolerance)
                difference, problem = max(difference, apart), problem or differs
    except DataError as error:  # Of a text that the task cannot read.
        problem = str(error)
    except UNFIT as error:
        why = str(error).partition("\n")[0]
        raise WeightsError("the probe is malformed", where=where, why=why) from error
    return Comparison(weights.path, difference, tolerance, problem)


def _difference(found: npt.ArrayLike, expected: npt.ArrayLike) -> float:
    with np.errstate(over="ignore"):
        one, other = np.asarray(found, np.float32), np.asarray(expected, np.float32)
    if one.shape != other.shape:
        raise ValueError(f"outputs have another shape: {one.shape} instead of {other.shape}")
    if not one.size:
        return 0.0
    # NaN is larger than any tolerance.
    largest = float(np.abs(one - other).max())
    return math.inf if math.isnan(largest) else largest


def _compare(
    text: str, found: Mapping[str, Any], stored: Mapping[str, Any], tolerance: float
) -> tuple[float, str]:
    """Compare what a text becomes; return the difference of the outputs, and what else differs."""
    shown = repr(text if len(text) <= 40 else f"{text[:40]}...")
    difference = _difference(found["outputs"], stored["outputs"])
    if list(found["token_ids"]) != stored["token_ids"]:
        return difference, f"the text {shown} has other token ids"
    one, other = found["answer"], stored["answer"]
    if isinstance(one, float) and isinstance(other, float | int):
        same = math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    else:
        same = one == other
    return difference, "" if same else f"the answer to {shown} is {one!r} and was {other!r}"


def check_batch(fields: Mapping[str, Any]) -> None:
    """Check the form of a batch.

    Args:
        fields: Its tensors or arrays, by name.

    Raises:
        ValueError: It is too large, or its rows have no lengths.
        KeyError: It is incomplete.
    """
    if missing := {"inputs", "lengths"} - fields.keys():
        raise KeyError(f"the batch has no {min(missing)}")
    inputs, lengths = fields["inputs"], fields["lengths"]
    is_integer = str(lengths.dtype).removeprefix("torch.") == "int64"
    if inputs.ndim < 2 or lengths.shape != inputs.shape[:1] or not is_integer:
        raise ValueError("the batch has no rows with a length each")
    if bool((lengths < 0).any()):
        raise ValueError("a row of the batch has a negative length")
    # A row may have more steps than inputs, where its outputs are generated.
    steps = inputs.shape[0] * max(inputs.shape[1], int(lengths.max()))
    if steps > MAX_STEPS or sum(math.prod(field.shape) for field in fields.values()) > MAX_NUMBERS:
        raise ValueError(f"the batch has {steps:,} steps, and {MAX_STEPS:,} are allowed")


def check_texts(probe: Mapping[str, Any]) -> None:
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
        with np.errstate(over="ignore"):
            outputs = np.asarray(answer["outputs"], np.float32)
        if not np.isfinite(outputs).all():
            raise ValueError("an output is not a finite number")


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
