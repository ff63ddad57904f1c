"""The public functions: whatever the command line does is one call here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.api.callbacks import default_callbacks
    from zoo.api.checking import check
    from zoo.api.evaluation import evaluate
    from zoo.api.exporting import export
    from zoo.api.loading import load
    from zoo.api.locating import header_facts, locate_weights
    from zoo.api.models import create_model
    from zoo.api.parquet import PredictedFiles, predict_parquet
    from zoo.api.resuming import open_run, resume
    from zoo.api.same_run import check_same_run
    from zoo.api.training import fit, train
    from zoo.api.verification import iter_verify, verify
    from zoo.engine.processes import SharedFailureError
    from zoo.engine.samples import SampleTexts
    from zoo.installed import list_models, list_recipes, list_tasks, register, registry
    from zoo.launch import is_main_process

# Where the functions are. They are imported when first used: answers are computed without what a
# training needs.
_LAZY = {
    "default_callbacks": "zoo.api.callbacks",
    "check": "zoo.api.checking",
    "export": "zoo.api.exporting",
    "header_facts": "zoo.api.locating",
    "locate_weights": "zoo.api.locating",
    "create_model": "zoo.api.models",
    "PredictedFiles": "zoo.api.parquet",
    "predict_parquet": "zoo.api.parquet",
    "check_same_run": "zoo.api.same_run",
    "fit": "zoo.api.training",
    "open_run": "zoo.api.resuming",
    "resume": "zoo.api.resuming",
    "train": "zoo.api.training",
    "iter_verify": "zoo.api.verification",
    "verify": "zoo.api.verification",
    "evaluate": "zoo.api.evaluation",
    "load": "zoo.api.loading",
    "SampleTexts": "zoo.engine.samples",
    "SharedFailureError": "zoo.engine.processes",
    "is_main_process": "zoo.launch",
    "list_models": "zoo.installed",
    "list_recipes": "zoo.installed",
    "list_tasks": "zoo.installed",
    "register": "zoo.installed",
    "registry": "zoo.installed",
}

__all__ = [
    "PredictedFiles",
    "SampleTexts",
    "SharedFailureError",
    "check",
    "check_same_run",
    "create_model",
    "default_callbacks",
    "evaluate",
    "export",
    "fit",
    "header_facts",
    "is_main_process",
    "iter_verify",
    "list_models",
    "list_recipes",
    "list_tasks",
    "load",
    "locate_weights",
    "open_run",
    "predict_parquet",
    "register",
    "registry",
    "resume",
    "train",
    "verify",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'zoo.api' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
