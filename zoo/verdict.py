"""What a score is worth: in a sentence, with its interval and beside baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.records import TaskInfo

# What tasks call the baselines that answer the same to every input, and how they read in a
# sentence. Others are called `the NAME baseline`.
_CONSTANT = {"majority": "majority", "mean": "the mean", "prior": "the prior"}


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A score beside that of a baseline, both of the monitored metric.

    Args:
        baseline: The name that the metrics have for it.
        gain: How much better the score is: positive is better.
        amount: Its size in words.
        value: The score of the baseline.
        is_certain: Whether the baseline is outside the score's interval.
    """

    baseline: str
    gain: float
    amount: str
    value: float
    is_certain: bool

    @property
    def name(self) -> str:
        """The baseline in a sentence."""
        return _CONSTANT.get(self.baseline, f"the {self.baseline} baseline")


def verdict(task: TaskInfo, metrics: Mapping[str, Any], split: str = "test") -> tuple[str, ...]:
    """Return what the metrics of a split say: the score, and whether it beats the baselines.

    Args:
        task: Says which metric is monitored, and which way it improves.
        metrics: Of a split: the monitored metric with ``_low`` and ``_high``, ``examples``, and
            ``baselines`` with values of the same metric; all but the first may be missing.
        split: The name of the split.

    Example:
        >>> task = TaskInfo(
        ...     name="t", summary="", target="m:T", monitor="accuracy", higher_is_better=True
        ... )
        >>> verdict(task, {"accuracy": 0.9, "examples": 50, "baselines": {"majority": 0.5}})
        ('test accuracy 0.900 on 50 examples', 'beats majority by 40.0 points')
    """
    score = score_line(task, metrics, split)
    comparisons = _compare(task, metrics)
    return (
        (score, _sentence(task, float(metrics[task.monitor]), comparisons))
        if comparisons
        else (score,)
    )


def score_line(task: TaskInfo, metrics: Mapping[str, Any], split: str = "test") -> str:
    """Return the monitored metric with its interval and the number of examples."""
    monitor = task.monitor
    text = f"{split} {monitor.replace('_', ' ')} {_number(metrics[monitor])}"
    low, high = metrics.get(f"{monitor}_low"), metrics.get(f"{monitor}_high")
    if low is not None and high is not None and math.isfinite(low) and math.isfinite(high):
        text += f" (95 %: {_number(low)} to {_number(high)})"
    if "examples" in metrics:
        text += f" on {metrics['examples']:,} examples"
    return text


def _compare(task: TaskInfo, metrics: Mapping[str, Any]) -> list[_Comparison]:
    value = float(metrics[task.monitor])
    baselines: Mapping[str, float] = metrics.get("baselines") or {}
    low = metrics.get(f"{task.monitor}_low", value)
    high = metrics.get(f"{task.monitor}_high", value)
    in_points = all(0 <= score <= 1 for score in (value, *baselines.values()))
    found = []
    for name, other in baselines.items():
        gain = value - other if task.higher_is_better else other - value
        if task.higher_is_better and in_points:
            amount = f"{abs(gain) * 100:.1f} points"
        elif not task.higher_is_better and other > 0:
            amount = f"{abs(gain) / other * 100:.3g} %"
        else:
            amount = _number(abs(gain))
        found.append(_Comparison(name, gain, amount, other, not low <= other <= high))
    return found


def _sentence(task: TaskInfo, value: float, comparisons: Sequence[_Comparison]) -> str:
    beaten = [each for each in comparisons if each.gain > 0]
    equal = [each for each in comparisons if each.gain == 0]
    better = [each for each in comparisons if each.gain < 0]
    parts = []
    if beaten:
        parts.append(_beaten(task, beaten))
    if equal:
        names = " and ".join(f"{each.name} ({_number(each.value)})" for each in equal)
        parts.append(f"does no better than {names}")
    if better:
        parts.append(_not_beaten(task, better))
    sentence = "; ".join(parts)
    is_perfect = value >= 1 if task.higher_is_better else value <= 0
    return (
        sentence
        if is_perfect or not (equal or better)
        else f"{sentence}: {_advice(equal + better)}"
    )


def _beaten(task: TaskInfo, comparisons: Sequence[_Comparison]) -> str:
    lead, word = ("beats", "") if task.higher_is_better else ("is lower", "than that of ")
    parts = []
    for number, each in enumerate(comparisons):
        amount = each.amount
        if task.higher_is_better and number:
            amount = amount.removesuffix(" points")
        doubt = "" if each.is_certain else " (within the margin of error)"
        parts.append(f"{word}{each.name} by {amount}{doubt}")
    return f"{lead} {' and '.join(parts)}"


def _not_beaten(task: TaskInfo, comparisons: Sequence[_Comparison]) -> str:
    lead = "does NOT beat" if task.higher_is_better else "is NOT lower than that of"
    parts = []
    for each in comparisons:
        doubt = "" if each.is_certain else ", within the margin of error"
        parts.append(f"{each.name} ({_number(each.value)}{doubt})")
    return f"{lead} {' or '.join(parts)}"


def _advice(comparisons: Sequence[_Comparison]) -> str:
    """Return what to do about baselines that are as good or better."""
    if any(each.baseline in _CONSTANT for each in comparisons):
        return "check that the texts and labels are the right columns, then try more epochs"
    if any(each.is_certain for each in comparisons):
        return "try more epochs, another learning rate or another model"
    return "the test part is too small to tell which is better"


def _number(value: float) -> str:
    """Return three decimals; of what is far from 1, as many digits as say something."""
    if value and abs(value) < 0.01:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"
