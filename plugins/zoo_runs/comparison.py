"""Two runs on the same examples: scores, differences, and whether these are significant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo import Run
from zoo.api import open_run
from zoo.errors import DataError, UsageError
from zoo.interfaces import Outcomes
from zoo.intervals import wilson
from zoo_runs.differences import differing
from zoo_runs.metrics import blocks, right, statistics
from zoo_runs.significance import FEW, mcnemar, paired_bootstrap

LEVEL = 0.05
"""A difference is called significant below this p-value."""

# Proportions of examples, for which McNemar's test is made.
_PROPORTIONS = ("accuracy", "exact_match")
_IN_POINTS = (*_PROPORTIONS, "f1_macro", "f1_micro")


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of two runs.

    Args:
        metric: Its name.
        values: That of the first and of the second run.
        intervals: The 95 % interval of each.
        difference: The second value less the first.
        interval: The 95 % interval of the difference.
        p_value: Two-sided, that there is no difference.
        test: The test that it is of.
    """

    metric: str
    values: tuple[float, float]
    intervals: tuple[tuple[float, float], tuple[float, float]]
    difference: float
    interval: tuple[float, float]
    p_value: float
    test: str

    @property
    def significant(self) -> bool:
        """Whether the p-value is below 0.05."""
        return self.p_value < LEVEL

    @property
    def sentence(self) -> str:
        """The difference and whether it is significant, in words."""
        if not self.difference:
            return f"both runs have the same {self.metric.replace('_', ' ')}"
        sign = 1 if self.difference > 0 else -1
        numbers = [sign * each for each in (self.difference, *self.interval)]
        if self.metric in _IN_POINTS:
            amount, low, high = (f"{each * 100:.1f}" for each in numbers)
            amount += " points"
        else:
            amount, low, high = (f"{each:.4g}" for each in numbers)
        if sign < 0:
            low, high = high, low
        said = "is" if self.significant else "is not"
        p = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.3f}"
        return (
            f"the difference of {amount} in {self.metric.replace('_', ' ')} "
            f"(95 %: {low} to {high}) {said} significant ({p}, {self.test})"
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs on the same examples.

    Args:
        paths: The run directories.
        names: The recipes, or ``TASK/MODEL``.
        split: The split of the data.
        examples: How many examples it has.
        scores: Metrics; the one that the task monitors comes first.
        settings: The settings that differ: by name the value of each; None where a run has none.
    """

    paths: tuple[Path, Path]
    names: tuple[str, str]
    split: str
    examples: int
    scores: Sequence[Score]
    settings: Mapping[str, tuple[Any, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values by name, as ``zoo compare --json`` prints them."""
        return {
            "runs": [
                {"path": str(path), "name": name}
                for path, name in zip(self.paths, self.names, strict=True)
            ],
            "split": self.split,
            "examples": self.examples,
            "scores": [
                {
                    "metric": score.metric,
                    "values": list(score.values),
                    "intervals": [list(each) for each in score.intervals],
                    "difference": score.difference,
                    "low": score.interval[0],
                    "high": score.interval[1],
                    "p_value": score.p_value,
                    "test": score.test,
                    "significant": score.significant,
                }
                for score in self.scores
            ],
            "settings": {name: list(pair) for name, pair in self.settings.items()},
            "sentence": self.scores[0].sentence,
        }


def compare_runs(
    first: Run | str | Path, second: Run | str | Path, split: str, resamples: int, seed: int
) -> Comparison:
    """Compare two runs; see :func:`zoo_runs.compare`."""
    if resamples < 100:
        raise UsageError(f"{resamples} resamples are too few", fix="take 100 or more")
    runs = [each if isinstance(each, Run) else open_run(each) for each in (first, second)]
    outcomes = [_outcomes(run, split) for run in runs]
    one, other = outcomes[0], _in_order_of(outcomes[0], outcomes[1])
    _check_same_examples(one, other, split)
    metrics = (statistics(one), statistics(other))
    monitor = runs[0].model.spec.task.info.monitor
    names = sorted(metrics[0], key=lambda name: name != monitor)
    drawn = len(blocks(one.losses)) if one.kind == "tokens" else len(one.losses)
    pairs = [(metrics[0][name], metrics[1][name]) for name in names]
    resampled = paired_bootstrap(pairs, drawn, resamples=resamples, seed=seed)
    scores = []
    for name, found in zip(names, resampled, strict=True):
        intervals, p_value, test = found.intervals, found.p_value, "paired bootstrap"
        if name in _PROPORTIONS:
            intervals, p_value, test = _of_proportions(one, other)
        low, high = found.values
        scores.append(
            Score(name, found.values, intervals, high - low, found.difference, p_value, test)
        )
    settings = [_settings(run) for run in runs]
    return Comparison(
        (runs[0].path, runs[1].path),
        (runs[0].config["name"], runs[1].config["name"]),
        split,
        len(one.losses),
        scores,
        {key: (settings[0].get(key), settings[1].get(key)) for key in differing(settings)},
    )


def _outcomes(run: Run, split: str) -> Outcomes:
    found = run.outcomes(split)
    if found is None:
        raise UsageError(
            "the run cannot be compared example by example",
            where=str(run.path),
            why=f"task {run.config['task']['name']!r} does not implement ScoresExamples",
        )
    if not len(found.losses):
        raise DataError(f"the {split} part has no examples", where=str(run.path))
    return found


def _in_order_of(one: Outcomes, other: Outcomes) -> Outcomes:
    """Return the second outcomes with the labels in the order of the first ones."""
    if one.kind != other.kind:
        raise UsageError(
            "the runs cannot be compared", why=f"one predicts {one.kind}, the other {other.kind}"
        )
    names, others = list(one.names), list(other.names)
    if names == others or sorted(names) != sorted(others):
        return other
    order = np.array([others.index(name) for name in names])
    assert other.scores is not None
    scores = other.scores[:, order]
    if one.kind == "label-sets":
        return replace(
            other, names=names, scores=scores, targets=other.targets[:, order],
            decisions=other.predicted[:, order],
        )  # fmt: skip
    places = np.argsort(order)
    return replace(
        other, names=names, scores=scores, targets=places[other.targets],
        decisions=places[other.predicted],
    )  # fmt: skip


def _check_same_examples(one: Outcomes, other: Outcomes, split: str) -> None:
    """Refuse runs whose examples are not the same, in the same order.

    Raises:
        DataError: They are not.
    """
    texts, others = list(one.texts), list(other.texts)
    if list(one.names) != list(other.names):
        why = "they have other labels"
    elif texts != others:
        shared = len(set(texts) & set(others))
        why = f"{len(texts):,} and {len(others):,} texts, of which {shared:,} are the same"
        if shared == len(set(texts)) == len(set(others)):
            why = "the same texts are in another order"
    elif one.targets.shape != other.targets.shape:
        why = f"{len(one.targets):,} and {len(other.targets):,} examples"
    elif not np.array_equal(one.targets, other.targets):
        why = "some examples have other targets"
    else:
        return
    raise DataError(
        f"the {split} parts of the two runs are not the same",
        why=why,
        fix="train both on the same data with the same --seed, or with --test FILE",
    )


def _of_proportions(
    one: Outcomes, other: Outcomes
) -> tuple[tuple[tuple[float, float], tuple[float, float]], float, str]:
    """Return Wilson's intervals of the shares that are right, and McNemar's test."""
    first, second = right(one) > 0, right(other) > 0
    counts = [int(each.sum()) for each in (first, second, first & ~second, second & ~first)]
    intervals = (wilson(counts[0], len(first)), wilson(counts[1], len(second)))
    test = "McNemar's exact test" if counts[2] + counts[3] < FEW else "McNemar's test"
    return intervals, mcnemar(counts[2], counts[3]), test


def _settings(run: Run) -> dict[str, Any]:
    config = run.config
    about = {key: config[key] for key in ("name", "data", "seed", "init")}
    return {**about, **run.settings}
