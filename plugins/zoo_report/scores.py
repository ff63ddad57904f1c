"""What was measured, beside baselines and with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo_report.charts import Interval, intervals
from zoo_report.evidence import Evidence
from zoo_report.parts import Figure, Note, Part, Section, Table, number

# What an evaluation says beside its metrics.
_ABOUT = {"examples", "epoch", "step", "shuffled", "training_data"}


def section(evidence: Evidence) -> Section | None:
    """Return scores and baselines; None where nothing was measured."""
    metrics, split = evidence.metrics, evidence.split
    if not split:
        return None
    monitor = evidence.monitor.replace("_", " ")
    parts: list[Part] = []
    if baselines := _baselines(metrics):
        shown = [interval(evidence.name, evidence, 0)] + [
            Interval(f"baseline: {name}", value, colour=5) for name, value in baselines.items()
        ]
        parts.append(
            Figure(
                f"{monitor[:1].upper()}{monitor[1:]} beside baselines",
                intervals(shown, title=_spoken(monitor, shown), x_label=f"{split} {monitor}"),
                "The line is the 95 % interval."
                + (
                    f" {monitor[:1].upper()}{monitor[1:]} is better where it is lower."
                    if evidence.task and not evidence.task.higher_is_better
                    else ""
                ),
            )
        )
    others = [name for name in evidence.measured if name != split and name == "validation"]
    rows = []
    for name, value in metrics.items():
        if not is_score(name, value, metrics):
            continue
        about = metrics.get(f"{name}_label")
        shown_name = name.replace("_", " ") + (f" ({about})" if about is not None else "")
        rows.append(
            [shown_name, number(value), _ends(metrics, name)]
            + [_value(evidence.measured[other].get(name)) for other in others]
        )
    parts.append(Table("Scores", ["metric", split, "95 % interval", *others], rows))
    if split != "test":
        parts.append(
            Note(
                "These are scores on the validation part"
                f"{'' if evidence.saves_last else ', by which the best weights were chosen'}. "
                f"`zoo evaluate {evidence.run.path}` measures the test part, if there is one."
            )
        )
    return Section("Scores", parts)


def is_score(name: str, value: object, metrics: Mapping[str, Any]) -> bool:
    """Return whether an entry of metrics is a number that was measured."""
    if name in _ABOUT or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not (name.endswith(("_low", "_high")) and name.rpartition("_")[0] in metrics)


def interval(name: str, evidence: Evidence, colour: int) -> Interval:
    """Return the monitored metric of a run with its interval."""
    metrics, monitor = evidence.metrics, evidence.monitor
    ends = metrics.get(f"{monitor}_low"), metrics.get(f"{monitor}_high")
    return Interval(name, metrics[monitor], *ends, colour=colour)


def _baselines(metrics: Mapping[str, Any]) -> dict[str, float]:
    return dict(metrics.get("baselines") or {})


def _ends(metrics: Mapping[str, Any], name: str) -> str:
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def _value(value: object) -> str:
    return number(value) if isinstance(value, int | float) else ""


def _spoken(monitor: str, shown: list[Interval]) -> str:
    return f"{monitor}: " + ", ".join(f"{each.name} {each.value:.4g}" for each in shown)
