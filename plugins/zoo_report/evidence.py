"""What a run left that a page can show; what cannot be had is said, and left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from zoo import Run, TaskInfo, TrainedModel, ZooError
from zoo.api import registry
from zoo.data.sequence import TokenSequence
from zoo.interfaces import Data, Explains, Explanation, Outcomes

T = TypeVar("T")

MOST_TOKENS = 20_000
"""Tokens of a long sequence that are looked at one by one: all would take as long as the test."""

# Longer texts are not explained: it would take longer than the rest of the page.
_LONGEST_EXPLAINED = 20_000


@dataclass
class Evidence:
    """What is known of a run.

    Args:
        run: The run.
        config: What was trained and how.
        task: The record of its task; None: it is not installed.
        model: The trained model; None: there are no weights.
        measured: Metrics by split.
        split: The split that scores and examples are of; empty: nothing was measured.
        verdict: What the score on the test part is worth, in sentences.
        outcomes: What the model says of every example; None: it cannot be had.
        data_lines: What the data is, in lines.
        missing: What cannot be had, and why.
    """

    run: Run
    config: Mapping[str, Any]
    task: TaskInfo | None = None
    model: TrainedModel | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)
    split: str = ""
    verdict: Sequence[str] = ()
    outcomes: Outcomes | None = None
    data_lines: Sequence[str] = ()
    missing: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The last folder of the run directory."""
        return self.run.path.resolve().name

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The metrics of the split."""
        found: Mapping[str, Any] = self.measured.get(self.split, {})
        return found

    @property
    def monitor(self) -> str:
        """The monitored metric; ``loss`` where the task is not known."""
        return self.task.monitor if self.task else "loss"

    @property
    def saves_last(self) -> bool:
        """Whether the weights of the last evaluation are saved, and not those of the best."""
        return bool(self.config["training"].get("selection") == "last")

    def attempt(self, what: str, compute: Callable[[], T]) -> T | None:
        """Return what can be computed; None where it cannot be, which the page says.

        Args:
            what: What is missing then, such as ``the mistakes``.
            compute: Computes it; may raise a ZooError.
        """
        try:
            return compute()
        except ZooError as error:
            self.missing.append(f"{what}: {error}")
            return None

    def explain(self, texts: Sequence[str]) -> list[Explanation | None]:
        """Return what the pieces of texts add to their answers; None where that is not known."""
        model = self.model
        if model is None or not isinstance(model.task, Explains):
            return [None] * len(texts)
        short = [text for text in texts if 0 < len(text) <= _LONGEST_EXPLAINED]
        explained = self.attempt("the words that made the mistakes", lambda: model.explain(short))
        found: Iterator[Explanation | None] = iter(explained or [])
        return [next(found, None) if text in short else None for text in texts]


def gather(run: Run) -> Evidence:
    """Return what is known of a run.

    Nothing is evaluated that was not: the test part stays unseen where it was left out.

    Raises:
        UsageError: There is no run.
        WeightsError: Its configuration is damaged.
    """
    found = Evidence(run, run.config)
    found.model = found.attempt(
        "scores, sizes and all that needs the trained network", lambda: run.model
    )
    if found.model is None:
        found.task = _task(found.config)
        return found
    found.task = found.model.spec.task.info
    found.measured = found.attempt("what was measured", lambda: run.metrics) or {}
    test = found.measured.get("test", {})
    if test and test.get("training_data", True):
        found.split = "test"
        found.verdict = found.attempt("the verdict", lambda: run.verdict) or ()
    elif "validation" in found.measured:
        found.split = "validation"
    data = found.attempt("all that needs the data of the training", lambda: run.data)
    if data is not None:
        found.data_lines = (data.summary, *data.notes)
        if found.split:
            found.outcomes = found.attempt(
                "what is said of single examples", lambda: _outcomes(run, data, found.split)
            )
    return found


def _outcomes(run: Run, data: Data, name: str) -> Outcomes | None:
    """Return what is said of every example of a split; of a long sequence, of its beginning."""
    split = data.splits[name]
    if isinstance(split, TokenSequence) and split.num_examples > MOST_TOKENS:
        first = split.slice(0, MOST_TOKENS + 1)
        return run.model.outcomes(replace(data, splits={name: first}), split=name)
    return run.outcomes(name)


def _task(config: Mapping[str, Any]) -> TaskInfo | None:
    name, known = config["task"]["name"], registry()
    return known.get(TaskInfo, name) if known.has(TaskInfo, name) else None
