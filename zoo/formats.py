"""Formats of earlier versions: what was written by them is brought to the form of this one.

Three kinds of file carry a format version: the configuration of a run directory, the header of a
weights file and the header of a checkpoint. A file of a later format is refused with the version
that reads it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from zoo.errors import WeightsError, ZooWarning

FORMAT = 2
# The first version of zoo that reads FORMAT; a file says it, for the versions before.
REQUIRES = "0.2.0"
# Of weights files with 8-bit weights, which is otherwise FORMAT.
QUANTIZED_FORMAT = 3
QUANTIZED_REQUIRES = "0.6.0"

# In format 1 the options of optimizers and schedules were training options.
_OPTIMIZER_OPTIONS = {
    "adam": ("beta2", "weight_decay"),
    "adamw": ("beta2", "weight_decay"),
    "sgd": ("momentum", "weight_decay"),
}
_SCHEDULER_OPTIONS = {
    "constant": ("warmup",),
    "linear": ("warmup",),
    "cosine": ("warmup",),
    "one-cycle": ("warmup",),
    "plateau": (),
}
_OF_FORMAT_1 = {"distribution": "seqzoo", "version": "0.1.0"}
# Configurations of format 1 do not say which plugin declared a task or a model.
_UNKNOWN = {"distribution": "", "version": ""}


def check_format(header: Mapping[str, Any], where: str, latest: int = FORMAT) -> int:
    """Return the format of a header.

    Args:
        header: The header.
        where: Its file.
        latest: The latest format that files of this kind have.

    Raises:
        WeightsError: There is none, or it is later than that; the message says which version
            reads it.
    """
    version = header.get("format", 1 if "settings" in header else None)
    if type(version) is not int or version < 1:
        raise WeightsError("the header is incomplete", where=where, why="it has no format version")
    if version > latest:
        needed = header.get("requires")
        newer = f"{needed} or later" if isinstance(needed, str) else "a later version"
        raise WeightsError(
            f"the file has format {version}",
            where=where,
            why=f"this version reads formats 1 to {latest}",
            fix=f"install seqzoo {newer}",
        )
    return version


def upgrade_config(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a run directory of format 1 in format 2."""
    settings = document["settings"]
    return {
        "format": FORMAT,
        "requires": REQUIRES,
        **_run(
            name=document["name"],
            task={"name": document["task"], "options": settings["task"], **_UNKNOWN},
            model={"name": document["model"], "options": settings["model"], **_UNKNOWN},
            training=settings["training"],
            data=document["data"],
            seed=document["seed"],
        ),
        "data_sha256": document.get("data_sha256", ""),
    }


def upgrade_header(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the header of a weights file of format 1 in format 2."""
    training = dict(header["training"])
    seed = training.pop("seed")
    return {
        "format": FORMAT,
        "requires": REQUIRES,
        "zoo": header["zoo"],
        "run": _run(
            name=header["name"],
            task=header["task"],
            model=header["model"],
            training=training,
            data=header["data"]["name"],
            seed=seed,
        ),
        "task_state": header["assets"],
        "data": header["data"],
        "metrics": header["metrics"],
        "dtype": header["storage"],
        "probe": {"batch": header["probe"]["batch"], "outputs": header["probe"]["logits"]},
        "digest": header["digest"],
    }


def upgrade_checkpoint(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the header of a checkpoint of format 1 in format 2."""
    position, plateau = header["position"], header["plateau"]
    state = {key: position[key] for key in ("epoch", "batch", "step", "seconds", "done")}
    state["best"] = position["best"]
    state["evaluations_since_best"] = position["stale"]
    scheduler: dict[str, Any] = {}
    if plateau["factor"] != 1.0 or plateau["stale"]:
        scheduler = {"factor": plateau["factor"], "num_bad_epochs": plateau["stale"]}
    upgraded = {"format": FORMAT, "state": state, "scheduler": scheduler, "parameter_groups": None}
    return {**header, **upgraded}


def upgrade_tensor_name(name: str) -> str:
    """Return the name that a tensor of a checkpoint of format 1 has in format 2."""
    prefix, dot, rest = name.partition(".")
    return f"{'optimizer' if prefix == 'optimiser' else prefix}{dot}{rest}"


def _run(
    *,
    name: str,
    task: Mapping[str, Any],
    model: Mapping[str, Any],
    training: Mapping[str, Any],
    data: str,
    seed: int,
) -> dict[str, Any]:
    optimizer, schedule = training["optimizer"], training["schedule"]
    moved = {"beta2", "momentum", "weight_decay", "warmup"}
    if schedule == "plateau" and training["warmup"]:
        message = "schedule 'plateau' has no warm-up any more: the learning rate starts at its peak"
        warnings.warn(message, ZooWarning, stacklevel=2)

    def component(name: str, options: tuple[str, ...]) -> dict[str, Any]:
        return {"name": name, "options": {key: training[key] for key in options}, **_OF_FORMAT_1}

    return {
        "name": name,
        "task": dict(task),
        "model": dict(model),
        "submodels": {},
        "training": {key: value for key, value in training.items() if key not in moved},
        "optimizer": component(optimizer, _OPTIMIZER_OPTIONS[optimizer]),
        "scheduler": component(schedule, _SCHEDULER_OPTIONS[schedule]),
        "callbacks": {},
        "metrics": [],
        "data": data,
        "seed": seed,
        "init": "",
    }
