"""How far predicted probabilities can be taken at their word."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.interfaces import Outcomes
from zoo_report.charts import bars
from zoo_report.parts import Figure, Note, Part, Section, Table

Array = npt.NDArray[Any]

BINS = 15


def section(outcomes: Outcomes, split: str) -> Section | None:
    """Return a reliability diagram and the calibration error; None without probabilities.

    Args:
        outcomes: What the model says of the examples of a split.
        split: Its name.
    """
    scores = outcomes.scores
    if scores is None or not len(scores) or not np.isfinite(scores).all():
        return None
    confidence, right = judged(scores, outcomes)
    bins = _bins(confidence)
    counts = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        accuracy = np.bincount(bins, weights=right, minlength=BINS) / counts
    edges = np.linspace(0, 1, BINS + 1)
    error = calibration_error(confidence, right)
    what = "the likeliest label" if outcomes.kind == "labels" else "each label of each example"
    measured = "is right" if outcomes.kind == "labels" else "applies"
    notes = [
        f"{low:.2f} to {high:.2f}: {n:,}, of which {share:.1%}" if n else ""
        for low, high, n, share in zip(edges, edges[1:], counts, accuracy, strict=False)
    ]
    parts: list[Part] = [
        Figure(
            "Reliability diagram",
            bars(
                edges.tolist(), accuracy.tolist(), y=(0.0, 1.0), diagonal=True, notes=notes,
                title=f"Reliability diagram, expected calibration error {error:.4f}",
                x_label=f"probability of {what}", y_label=f"share that {measured}",
            ),
            "Probabilities that can be taken at their word are on the diagonal.",
        ),
        Figure(
            "Predicted probabilities",
            bars(
                edges.tolist(), counts.tolist(), notes=notes,
                title="How many predictions have which probability",
                x_label=f"probability of {what}", y_label="predictions",
            ),
        ),
    ]  # fmt: skip
    rows, explained = [["as predicted", f"{error:.4f}"]], ""
    if outcomes.temperature != 1.0:
        before = calibration_error(*judged(unscaled(scores, outcomes), outcomes))
        rows.insert(0, ["before temperature scaling", f"{before:.4f}"])
        rows[1][0] = f"after (temperature {outcomes.temperature:.3f})"
        if error > before:
            explained = _explained(split)
    parts.append(Table("Expected calibration error", ["probabilities", "ECE"], rows, explained))
    parts.append(
        Note(
            f"The error is the mean distance of the probability of {what} from how often it "
            f"{measured}, over {BINS} bins of equal width, weighted by their predictions."
        )
    )
    return Section("Calibration", parts)


def _explained(split: str) -> str:
    """Return why the error can be larger after temperature scaling."""
    fitted = "The temperature was fitted to the loss on the validation part"
    if split == "validation":
        return f"{fitted}, which can raise this error."
    return f"{fitted}, and the error is measured on the {split} part, where it can be larger."


def judged(scores: Array, outcomes: Outcomes) -> tuple[Array, Array]:
    """Return probabilities (N,) and whether what they are of is right (N,).

    Of labels it is the likeliest one of each example, of label sets every pair of both.
    """
    if outcomes.kind == "labels":
        return np.asarray(scores.max(1)), np.asarray(scores.argmax(1) == outcomes.targets)
    return scores.ravel(), outcomes.targets.ravel()


def unscaled(scores: Array, outcomes: Outcomes) -> Array:
    """Return the probabilities (M, K) that the logits give without the temperature."""
    tiny = np.finfo(np.float64).tiny
    logs = np.log(np.maximum(scores, tiny)) * outcomes.temperature
    if outcomes.kind == "labels":
        raised = np.exp(logs - logs.max(1, keepdims=True))
        return np.asarray(raised / raised.sum(1, keepdims=True))
    others = np.log(np.maximum(1 - scores, tiny)) * outcomes.temperature
    return np.asarray(1 / (1 + np.exp(others - logs)))


def calibration_error(confidence: Array, right: Array) -> float:
    """Return the expected calibration error (C. Guo et al., ICML 2017, equation 3)."""
    differences = np.bincount(_bins(confidence), weights=right - confidence, minlength=BINS)
    return float(np.abs(differences).sum() / len(confidence))


def _bins(confidence: Array) -> Array:
    return np.asarray(np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1))
