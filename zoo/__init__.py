"""A plugin-based model zoo for recurrent sequence models on PyTorch.

>>> import zoo
>>> zoo.list_models("*lstm*")
['bilstm', 'lstm']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo.hookspecs import hookimpl
from zoo.records import ModelInfo, Option, TaskInfo

if TYPE_CHECKING:
    from zoo.api import create_model, list_models, list_runs, list_tasks, load
    from zoo.errors import ZooError

__version__ = "0.1.0"

# Where the rest of the public names lie. They are imported when first used: a plugin imports this
# module while plugins are being listed, and listing must not import torch.
_LAZY = {
    "ZooError": "zoo.errors",
    "create_model": "zoo.api",
    "list_models": "zoo.api",
    "list_runs": "zoo.api",
    "list_tasks": "zoo.api",
    "load": "zoo.api",
}

__all__ = [
    "ModelInfo",
    "Option",
    "TaskInfo",
    "ZooError",
    "create_model",
    "hookimpl",
    "list_models",
    "list_runs",
    "list_tasks",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
