"""What a training says of the weights that it starts from."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from zoo.records import Recipe
from zoo.registry import Registry
from zoo.spec import RunSpec
from zoo.trained import TrainedModel

_INDENT, _WIDTH = "init     ", 80


def describe_initial(
    unasked: str,
    source: TrainedModel,
    spec: RunSpec,
    initial: Mapping[str, object],
    registry: Registry,
) -> list[str]:
    """Return what a run starts from, and which of its settings are other ones, in aligned lines.

    Args:
        unasked: The recipe of the weights where the user has not named them; empty: nothing is
            said of it.
        source: The model that it starts from.
        spec: The run.
        initial: The settings under which the weights fit.
        registry: What is installed.
    """
    lines = []
    if unasked:
        summary = registry.get(Recipe, unasked).summary if registry.has(Recipe, unasked) else ""
        lines += [f"{unasked}: {summary}".removesuffix(": "), "to train from scratch: --init ''"]
    sections = {"task": spec.network.task.options, "model": spec.network.model.options}
    differ = []
    if (old := source.spec.model.info.name) != (new := spec.network.model.info.name):
        differ.append(f"the model is {new} and was {old}")
    for key, value in initial.items():
        section, _, option = key.partition(".")
        if (chosen := getattr(sections[section], option)) != value:
            differ.append(f"{option} is {chosen} and was {value}")
    if differ:
        lines.append(
            f"settings that the weights were not trained with: {', '.join(differ)}; what does not "
            "fit starts afresh"
        )
    return [aligned(lines)] if lines else []


def aligned(lines: Sequence[str]) -> str:
    """Return lines as one note, wrapped, whose text begins where that of notes on the data does."""
    indent = " " * len(_INDENT)
    wrapped = [
        textwrap.fill(
            line,
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_on_hyphens=False,
            break_long_words=False,
        )
        for line in lines
    ]
    return "\n".join(wrapped).replace(indent, _INDENT, 1)
