"""What a language model finds hard, and what it writes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from markupsafe import escape

from zoo import TrainedModel
from zoo.interfaces import Generates, Outcomes
from zoo_report.charts import Line, lines
from zoo_report.colours import surprise, visible
from zoo_report.evidence import Evidence
from zoo_report.parts import Figure, Part, Passage, Passages, Section

TEMPERATURES = (0.5, 0.8, 1.0)
SAMPLE_LENGTH = 400

_POINTS = 300
_PASSAGE = 300


def section(evidence: Evidence, outcomes: Outcomes) -> Section:
    """Return bits a token along the text, and the passages with the most and the fewest."""
    bits = outcomes.losses / math.log(2)
    window = int(np.clip(len(bits) // 60, min(100, len(bits)), 5000))
    sums = np.concatenate([[0.0], np.cumsum(bits)])
    means = (sums[window:] - sums[:-window]) / window
    at = np.unique(np.linspace(0, len(means) - 1, _POINTS).round().astype(int))
    mean = float(bits.mean())
    places = (at + window / 2).tolist()
    drawn = [
        Line("moving average", places, means[at].tolist()),
        Line("mean", [0, len(bits)], [mean, mean], colour=1),
    ]
    model = evidence.model
    generates = model is not None and isinstance(model.task, Generates)
    unit = "character" if generates and _are_characters(model, outcomes) else "token"
    total = int(evidence.metrics.get("examples", len(bits)))
    some = f" These are the first {len(bits):,} of {total:,} {unit}s." if len(bits) < total else ""
    parts: list[Part] = [
        Figure(
            f"Bits a {unit} along the text",
            lines(
                drawn, x_label=f"place in the {evidence.split} part, in {unit}s",
                y_label=f"bits a {unit}", title=f"bits a {unit}, {mean:.3f} on average",
            ),
            f"A moving average over {window:,} {unit}s; the mean is {mean:.3f}.{some}",
            [(line.colour, line.name) for line in drawn],
        )
    ]  # fmt: skip
    if unit == "character":
        parts.append(_passages(evidence, outcomes, bits))
    return Section("Along the text", parts)


def samples(evidence: Evidence) -> Section | None:
    """Return what a model writes at three temperatures; None where it writes nothing."""
    model = evidence.model
    if model is None or not model.generates:
        return None
    written = []
    for temperature in TEMPERATURES:
        text = model.generate("", SAMPLE_LENGTH, temperature=temperature, seed=1)
        shown = escape(visible(text).strip("\n"))
        written.append(Passage([("temperature", f"{temperature:.1f}")], shown))
    note = "The lower the temperature, the likelier the text. Seed 1, without a prompt."
    return Section("Samples", [Passages(written, note=note, keeps_lines=True)])


def _are_characters(model: TrainedModel | None, outcomes: Outcomes) -> bool:
    assert model is not None
    assert isinstance(model.task, Generates)
    some = outcomes.targets[:1000]
    return len(model.task.decode(some.tolist())) == len(some)


def _passages(evidence: Evidence, outcomes: Outcomes, bits: npt.NDArray[np.float64]) -> Passages:
    """Return the passages with the most and the fewest bits, with each character coloured."""
    assert evidence.model is not None
    assert isinstance(evidence.model.task, Generates)
    length = min(_PASSAGE, len(bits))
    sums = np.concatenate([[0.0], np.cumsum(bits)])
    means = (sums[length:] - sums[:-length]) / length
    shown = []
    for name, start in (("hardest", int(means.argmax())), ("easiest", int(means.argmin()))):
        tokens = outcomes.targets[start : start + length].tolist()
        text = evidence.model.task.decode(tokens)
        found = bits[start : start + length].tolist()
        head = [("the " + name, f"{means[start]:.2f} bits a character, at {start:,}")]
        shown.append(Passage(head, surprise(text, found)))
    title = f"The hardest and the easiest {length} characters"
    note = "The darker a character, the less the model expected it."
    return Passages(shown, title, note, keeps_lines=True)
