"""Recipes with a score, and which of them can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from _results.figures import count

from zoo.installed import registry
from zoo.records import Recipe, TaskInfo
from zoo.weights.file import inspect


@dataclass(frozen=True, slots=True)
class Kind:
    """How scores of some recipes are shown.

    Args:
        name: For a heading; what the scores mean is under this name in ``notes.toml``.
        metric: The main one, a key of the metrics of a recipe.
        columns: Headings and keys of metrics. That of the interval of a metric ends with ``±``.
    """

    name: str
    metric: str
    columns: tuple[tuple[str, str], ...]


WORDS = Kind(
    "language models by words",
    "loss",
    (
        ("perplexity a word", "perplexity"),
        ("nats a word", "loss"),
        ("95 % interval", "loss±"),
        ("bits a character", "bits_per_character"),
    ),
)
CHARACTERS = Kind(
    "language models by characters",
    "loss",
    (
        ("nats a character", "loss"),
        ("95 % interval", "loss±"),
        ("bits a character", "bits_per_character"),
        ("nats, windows", "windowed_loss"),
    ),
)
CLASSIFICATION = Kind(
    "classification",
    "accuracy",
    (("accuracy", "accuracy"), ("95 % interval", "accuracy±"), ("baselines", "baselines")),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A recipe and what is known of it.

    Args:
        recipe: The recipe; it has metrics.
        kind: How its score is shown.
        metrics: Those of the recipe, and others that are in its published weights file.
        parameters: Numbers in the published weights file; 0 where there is none.
        higher_is_better: Whether a higher score is a better one.
    """

    recipe: Recipe
    kind: Kind
    metrics: Mapping[str, Any]
    parameters: int
    higher_is_better: bool

    @property
    def name(self) -> str:
        """The name of the recipe, as code."""
        return f"`{self.recipe.name}`"

    @property
    def test_part(self) -> tuple[str, str, str, int]:
        """What rows of one table have in common: data, kind, split and number of examples."""
        metrics = self.metrics
        return self.recipe.data, self.kind.name, metrics["split"], metrics["examples"]

    @property
    def score(self) -> float:
        """The main metric."""
        return float(self.metrics[self.kind.metric])

    def cell(self, key: str) -> str:
        """Return a metric, or with ``±`` its interval, as text; empty where it is not known."""
        if key.endswith("±"):
            low, high = (self.metrics.get(key[:-1] + end) for end in ("_low", "_high"))
            return "" if low is None or high is None else f"{low:.4f} to {high:.4f}"
        value = self.metrics.get(key, {})
        if isinstance(value, Mapping):
            return ", ".join(f"{name} {score:.4f}" for name, score in value.items())
        return f"{value:,.2f}" if value >= 10 else f"{value:.4f}"


def row(recipe: Recipe) -> Row:
    """Return the row of a recipe that has metrics.

    Raises:
        ZooError: Its published weights file is missing or damaged, or its task is not installed.
    """
    known: Mapping[str, Any] = {}
    parameters = 0
    if recipe.weights_path:
        file = inspect(recipe.weights_path)
        known = file.header["metrics"].get(recipe.metrics["split"], {})
        parameters = count(shape for _, shape in file.shapes.values())
    facts = registry().declaration(TaskInfo, recipe.task).facts
    kind = _kind(recipe, facts["monitor"])
    return Row(
        recipe, kind, {**known, **recipe.metrics}, parameters, facts["higher_is_better"]
    )  # fmt: skip


def _kind(recipe: Recipe, monitor: str) -> Kind:
    # Of language models, registry.toml has the perplexity where it is that of a word.
    by_key = {"perplexity": WORDS, "bits_per_character": CHARACTERS, "accuracy": CLASSIFICATION}
    for key, kind in by_key.items():
        if key in recipe.metrics:
            return kind
    return Kind(recipe.task, monitor, ((monitor, monitor), ("95 % interval", f"{monitor}±")))
