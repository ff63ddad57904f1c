"""A plugin-based model zoo for recurrent sequence models on PyTorch.

>>> import zoo
>>> zoo.list_models("*lstm*")
['bilstm', 'lstm']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.api import check, create_model, fit, load, open_run, resume, train
    from zoo.errors import ZooError
    from zoo.hookspecs import hookimpl
    from zoo.installed import list_models, list_recipes, list_tasks, register
    from zoo.interfaces import Callback
    from zoo.options import Options, option
    from zoo.records import (
        CallbackInfo,
        CommandInfo,
        ExporterInfo,
        MetricInfo,
        ModelInfo,
        OptimizerInfo,
        SchedulerInfo,
        Submodel,
        Suggestion,
        TaskInfo,
    )
    from zoo.runs import Run
    from zoo.trained import TrainedModel

__version__ = "0.5.0"

# Where the public names are. They are imported when first used: a plugin imports this module while
# plugins are being listed, which must not import torch, and help needs none of them.
_LAZY = {
    "hookimpl": "zoo.hookspecs",
    "Options": "zoo.options",
    "option": "zoo.options",
    "CallbackInfo": "zoo.records",
    "CommandInfo": "zoo.records",
    "ExporterInfo": "zoo.records",
    "MetricInfo": "zoo.records",
    "ModelInfo": "zoo.records",
    "OptimizerInfo": "zoo.records",
    "SchedulerInfo": "zoo.records",
    "Submodel": "zoo.records",
    "Suggestion": "zoo.records",
    "TaskInfo": "zoo.records",
    "Callback": "zoo.interfaces",
    "Run": "zoo.runs",
    "TrainedModel": "zoo.trained",
    "ZooError": "zoo.errors",
    "check": "zoo.api",
    "create_model": "zoo.api",
    "fit": "zoo.api",
    "list_models": "zoo.installed",
    "list_recipes": "zoo.installed",
    "list_tasks": "zoo.installed",
    "load": "zoo.api",
    "open_run": "zoo.api",
    "register": "zoo.installed",
    "resume": "zoo.api",
    "train": "zoo.api",
}

__all__ = [
    "Callback",
    "CallbackInfo",
    "CommandInfo",
    "ExporterInfo",
    "MetricInfo",
    "ModelInfo",
    "OptimizerInfo",
    "Options",
    "Run",
    "SchedulerInfo",
    "Submodel",
    "Suggestion",
    "TaskInfo",
    "TrainedModel",
    "ZooError",
    "check",
    "create_model",
    "fit",
    "hookimpl",
    "list_models",
    "list_recipes",
    "list_tasks",
    "load",
    "open_run",
    "option",
    "register",
    "resume",
    "train",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
