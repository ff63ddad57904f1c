"""The public functions: whatever the command line does is one call here."""

from zoo.api.callbacks import default_callbacks
from zoo.api.checking import check
from zoo.api.exporting import export
from zoo.api.locating import header_facts, locate_weights
from zoo.api.models import create_model
from zoo.api.same_run import check_same_run
from zoo.api.training import fit, open_run, resume, train
from zoo.api.verification import iter_verify, verify
from zoo.api.weights import evaluate, load
from zoo.engine.processes import SharedFailureError
from zoo.engine.samples import SampleTexts
from zoo.environment import is_main_process
from zoo.installed import list_models, list_recipes, list_tasks, register, registry

__all__ = [
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
    "register",
    "registry",
    "resume",
    "train",
    "verify",
]
