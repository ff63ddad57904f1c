"""What can be listed and shown, by the name that `zoo list --NAME` takes."""

from __future__ import annotations

from collections.abc import Mapping

from zoo.records import (
    CallbackInfo,
    CommandInfo,
    DatasetInfo,
    MetricInfo,
    ModelInfo,
    OptimizerInfo,
    Recipe,
    SchedulerInfo,
    TaskInfo,
)

AnyRecord = (
    Recipe
    | TaskInfo
    | ModelInfo
    | OptimizerInfo
    | SchedulerInfo
    | CallbackInfo
    | MetricInfo
    | CommandInfo
    | DatasetInfo
)

KINDS: Mapping[str, type[AnyRecord]] = {
    "tasks": TaskInfo,
    "models": ModelInfo,
    "recipes": Recipe,
    "optimizers": OptimizerInfo,
    "schedulers": SchedulerInfo,
    "callbacks": CallbackInfo,
    "metrics": MetricInfo,
    "commands": CommandInfo,
    "datasets": DatasetInfo,
}
