"""What can be listed and shown, by the name that `zoo list --NAME` takes."""

from __future__ import annotations

from collections.abc import Mapping

from zoo.discovery import Declaration
from zoo.records import (
    CallbackInfo,
    CommandInfo,
    DatasetInfo,
    ExporterInfo,
    MetricInfo,
    ModelInfo,
    OptimizerInfo,
    Recipe,
    Record,
    SchedulerInfo,
    TaskInfo,
)
from zoo.registry import Registry

KINDS: Mapping[str, type[Record | Recipe | DatasetInfo]] = {
    "tasks": TaskInfo,
    "models": ModelInfo,
    "recipes": Recipe,
    "optimizers": OptimizerInfo,
    "schedulers": SchedulerInfo,
    "callbacks": CallbackInfo,
    "metrics": MetricInfo,
    "commands": CommandInfo,
    "exporters": ExporterInfo,
    "datasets": DatasetInfo,
}


def declared(
    kind: type[Record | Recipe | DatasetInfo], name: str, known: Registry
) -> Declaration | Recipe | DatasetInfo:
    """Return what is declared under a name; no plugin is imported for it."""
    if issubclass(kind, Record):
        return known.declaration(kind, name)
    return known.get(kind, name)
