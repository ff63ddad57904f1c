"""From the header of a weights file to the records of its network. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from zoo.errors import PluginError, UsageError, WeightsError
from zoo.options import options_of
from zoo.records import ModelInfo, TaskInfo
from zoo.registry import Registry
from zoo.spec import Component, NetworkSpec, find
from zoo.weights.file import Weights

# What building a network from values that it was not made for can raise.
UNFIT = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError,
    AssertionError, MemoryError,
)  # fmt: skip


def spec_of(
    header: Mapping[str, Any], registry: Registry, config: Mapping[str, Any] | None = None
) -> NetworkSpec:
    """Return the records and options of a header that :func:`upgraded` returned.

    Args:
        header: The header.
        registry: What is installed.
        config: As for :func:`zoo.weights.loading.build`.

    Raises:
        UsageError: A record does not take the options of the file.
    """
    spec = NetworkSpec.from_json(header["run"], registry)
    if (run := _with_files(header["run"], spec, config)) != header["run"]:
        spec = NetworkSpec.from_json(run, registry)
    return spec


def upgraded(weights: Weights, registry: Registry) -> Mapping[str, Any]:
    """Return the header after the upgrades of its task's and its model's plugin.

    Raises:
        PluginError: The task, the model or a submodel is not installed.
        WeightsError: The upgrade of a plugin failed.
    """
    header = weights.header
    run = header["run"]
    for part, made_by in {"task": run["task"], "model": run["model"], **run["submodels"]}.items():
        info: TaskInfo | ModelInfo
        try:
            if part == "task":
                info = find(TaskInfo, made_by, registry)
            else:
                info = find(ModelInfo, made_by, registry)
        except UsageError as error:
            raise _not_installed(weights, part, made_by, registry) from error
        # An upgrade changes run["task"] or run["model"]; it does not know of submodels.
        if info.upgrade is not None and part in ("task", "model"):
            try:
                header = info.upgrade(deepcopy(dict(header)), made_by["version"])
            except UNFIT as error:
                raise WeightsError(
                    "the file does not fit the installed plugins",
                    where=str(weights.path),
                    why=f"{info.plugin} cannot upgrade it from {made_by['version'] or 'before'}: "
                    f"{type(error).__name__}: {error}",
                ) from error
    return header


def without_folders(run: Mapping[str, Any], spec: NetworkSpec) -> dict[str, Any]:
    """Return the JSON form of a run with the names alone of files that options name.

    Folders say something of the machine of the training, and are of no use on another.
    """
    return _with_files(run, spec, None)


def _with_files(
    run: Mapping[str, Any], spec: NetworkSpec, config: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return a run whose options name the files of a configuration; without one, names alone."""
    changed = {**run, "submodels": dict(run["submodels"])}
    parts: dict[str, Component[Any]] = {"task": spec.task, "model": spec.model, **spec.submodels}
    for part, component in parts.items():
        place = changed if part in ("task", "model") else changed["submodels"]
        options = dict(place[part]["options"])
        for name in [o.name for o in options_of(component.info.options).values() if o.is_path]:
            if not options.get(name):
                continue
            options[name] = Path(options[name]).name
            if config is not None:
                source = config if part in ("task", "model") else config["submodels"]
                options[name] = source[part]["options"].get(name, options[name])
        place[part] = {**place[part], "options": options}
    return changed


def _not_installed(
    weights: Weights, part: str, made_by: Mapping[str, Any], registry: Registry
) -> PluginError:
    what = f"{part} {made_by['name']!r}"
    if not made_by["distribution"]:
        return PluginError(
            f"{what} is not declared",
            where=str(weights.path),
            why="it was registered by the program that trained it, with zoo.register()",
            fix="register it before loading",
        )
    installed = {plugin.distribution for plugin in registry.plugins if not plugin.error}
    other = ", of which another version is installed"
    return PluginError(
        f"{what} is not installed",
        where=str(weights.path),
        why=f"it comes from {made_by['distribution']} {made_by['version']}"
        + (other if made_by["distribution"] in installed else ""),
        fix=f"pip install {made_by['distribution']}",
    )


def unfit(weights: Weights, error: Exception) -> WeightsError:
    """Return the error for a file from which no network can be built."""
    return WeightsError(
        "the file does not fit the installed plugins",
        where=str(weights.path),
        why=str(error).partition("\n")[0],
        fix="install the versions that `zoo inspect` shows",
    )


def misfit(weights: Weights, problems: Sequence[str]) -> WeightsError:
    """Return the error for a file whose tensors are not those of the network."""
    return WeightsError(
        "the tensors do not fit the network", where=str(weights.path), why="; ".join(problems)
    )


def not_finite(name: str, where: str) -> WeightsError:
    """Return the error for a tensor that has a NaN, or an infinity where none may be."""
    return WeightsError(f"the weights are not finite numbers: {name}", where=where)
