"""What a checkpoint was made of and under: configuration, versions, threads and device.

A checkpoint holds both. A run that is resumed is compared with them: its configuration must be the
same, and versions, threads and device may differ where the user allows it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from zoo import __version__
from zoo.engine.run_directory import RunDirectory
from zoo.environment import versions
from zoo.errors import UsageError
from zoo.launch import launch
from zoo.options import options_of
from zoo.registry import Registry
from zoo.spec import Component, RunSpec
from zoo.weights.file import weights_digest

DATA_SHA256, CHANGES = "data_sha256", "changes"
_CONFIG, _ENVIRONMENT, _THREADS, _PROCESSES = "config", "environment", "threads", "processes"
# What --epochs and --steps change.
_LENGTH = ("training.epochs", "training.steps")
# Those of the plugins that are installed are compared, with the environment.
_OF_PLUGINS = ("distribution", "version")


def describe(spec: RunSpec, data_sha256: str, device: torch.device) -> dict[str, Any]:
    """Return what the checkpoints of a training say of it, besides its state."""
    return {
        _CONFIG: {**spec.to_json(), DATA_SHA256: data_sha256},
        _ENVIRONMENT: environment(spec, device),
    }


def environment(spec: RunSpec, device: torch.device) -> dict[str, Any]:
    """Return what the numbers of a training depend on, apart from its configuration."""
    network = spec.network
    components: list[Component[Any]] = [
        network.task, network.model, *network.submodels.values(), spec.optimizer, spec.scheduler,
        *spec.callbacks.values(),
    ]  # fmt: skip
    found = [component.info.plugin for component in components]
    plugins = [plugin for plugin in found if plugin and plugin.distribution]
    size = launch().size
    return {
        "zoo": __version__,
        **{
            plugin.distribution: plugin.version
            for plugin in plugins
            if plugin and plugin.distribution
        },
        **versions(),
        _THREADS: torch.get_num_threads(),
        **({_PROCESSES: size} if size > 1 else {}),
        "device": device.type,
    }


def processes(header: Mapping[str, Any]) -> int:
    """Return the number of processes of a checkpoint; 1 where its header does not say."""
    found = _mapping(header, _ENVIRONMENT).get(_PROCESSES)
    return found if type(found) is int and found > 1 else 1


def threads(header: Mapping[str, Any]) -> int:
    """Return the number of threads of a checkpoint.

    0 where its header does not say, and where another number of processes goes on: they share the
    processors in another way.
    """
    if processes(header) != launch().size:
        return 0
    found = _mapping(header, _ENVIRONMENT).get(_THREADS)
    return found if type(found) is int and 0 < found <= 1024 else 0


def changes(
    header: Mapping[str, Any],
    directory: RunDirectory,
    spec: RunSpec,
    device: torch.device,
    registry: Registry,
) -> list[dict[str, Any]]:
    """Return what has changed since a checkpoint was written and may change.

    Versions, threads, the kind of device and where files are may. A checkpoint of an earlier
    version does not say what it was written under: nothing is compared.

    Args:
        header: That of the checkpoint.
        directory: The run.
        spec: The run as it goes on.
        device: Where it goes on.
        registry: What is installed.

    Returns:
        For each change ``name``, ``was`` and ``now``.

    Raises:
        UsageError: The configuration of the run has been edited.
    """
    stored = _mapping(header, _CONFIG)
    if not stored:
        return []
    config = directory.read_config()
    paths = _paths(spec)
    edited: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for change in _differences(_plain(stored, registry), _plain(config, registry)):
        if change["name"] not in _LENGTH:
            (found if change["name"] in paths else edited).append(change)
    if edited:
        raise UsageError(
            "the configuration of the run has been edited",
            where=str(directory.config),
            why=listed(edited),
            fix="put it back; to go on with other settings start another run with "
            f"--init {directory.path}",
        )
    one = {_PROCESSES: 1}
    before, now = _mapping(header, _ENVIRONMENT), environment(spec, device)
    return found + list(_differences({**one, **before}, {**one, **now}))


def comparable(spec: RunSpec, data_sha256: str, network: nn.Module) -> dict[str, Any]:
    """Return what several processes of a training have to have alike: all but places of files."""
    paths = _paths(spec)
    config = {key: value for key, value in _flat(spec.to_json()).items() if key not in paths}
    parameters = {name: p.detach().cpu() for name, p in network.named_parameters()}
    return {**config, DATA_SHA256: data_sha256, "parameters": weights_digest(parameters)}


def has_other_length(header: Mapping[str, Any], spec: RunSpec) -> bool:
    """Return whether a run has another length than that of its checkpoint."""
    training = _mapping(_mapping(header, _CONFIG), "training")
    return any(
        training.get(key, getattr(spec.training, key)) != getattr(spec.training, key)
        for key in ("epochs", "steps")
    )


def listed(changed: list[dict[str, Any]]) -> str:
    """Return changes in words."""
    return ", ".join(
        f"{each['name']} is {_shown(each['now'])} and was {_shown(each['was'])}" for each in changed
    )


def _shown(value: object) -> str:
    return "missing" if value is None else str(value)


def _paths(spec: RunSpec) -> set[str]:
    """Return the names of what is a path: where the data is does not change what it is."""
    found = {"init"} if spec.dataset else {"init", "data"}
    for part, component in (("task", spec.network.task), ("model", spec.network.model)):
        options = options_of(component.info.options).values()
        found |= {f"{part}.options.{option.name}" for option in options if option.is_path}
    return found


def _plain(config: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    """Return a configuration by dotted names, with options that were added since."""
    with warnings.catch_warnings():  # They are given where the run is read.
        warnings.simplefilter("ignore")
        document = RunSpec.from_json(config, registry).to_json()
    return {**_flat(document), DATA_SHA256: config.get(DATA_SHA256)}


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        elif key not in _OF_PLUGINS:
            found[prefix + key] = value
    return found


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            yield {"name": name, "was": before.get(name), "now": now.get(name)}


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = document.get(key)
    return found if isinstance(found, Mapping) else {}
