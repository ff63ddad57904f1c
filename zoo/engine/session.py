"""A training from configuration to kept weights: prepares, builds, trains, writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from zoo.building import make_network, make_task
from zoo.catalog import Catalog
from zoo.config import Configuration
from zoo.data.source import locate
from zoo.engine.evaluation import part
from zoo.engine.loop import Observer, Outcome, train
from zoo.engine.rundir import RunDirectory
from zoo.interfaces import Data
from zoo.registry import Registry
from zoo.weights.network import describe, save


def run_training(
    configuration: Configuration,
    registry: Registry,
    catalog: Catalog,
    run: RunDirectory,
    device: torch.device,
    observer: Observer,
    *,
    resume: bool = False,
    interrupted: Callable[[], bool] = lambda: False,
    prepared: Callable[[Data, nn.Module], None] = lambda data, network: None,
) -> Outcome:
    """Train as configured, into a run directory.

    Args:
        configuration: What to train, on what, how.
        registry: The installed models and tasks.
        catalog: Data rows, by which ``configuration.data`` may name its data.
        run: Created here unless ``resume``.
        device: Where to train.
        observer: Is told of steps and evaluations.
        resume: Go on with a run that exists.
        interrupted: Asked after every step; True saves and stops.
        prepared: Called once data and network are ready.

    Raises:
        ZooError: Any of them; nothing is written before the data is read and found fit.
    """
    task = make_task(configuration.task, configuration.task_options)
    data = task.prepare(locate(configuration.data, catalog), configuration.seed)
    for name in ("train", "validation"):
        part(data, name)
    torch.manual_seed(configuration.seed)
    network = make_network(task, configuration.model, configuration.model_options).to(device)
    if not resume:
        run.create(configuration.to_json())
    header = describe(
        configuration.name,
        task,
        configuration.task,
        configuration.task_options,
        configuration.model,
        configuration.model_options,
        registry,
    )
    # A path would say where it lay on this machine, and nothing on any other.
    named = configuration.data if configuration.data in catalog.data else ""
    header["data"] = {"name": named, "summary": data.summary, "sha256": data.digest}
    header["training"] = {**asdict(configuration.training), "seed": configuration.seed}

    def keep(kept: nn.Module, metrics: Mapping[str, Any]) -> None:
        save(run.weights, kept, task, {**header, "metrics": {"validation": metrics}})

    prepared(data, network)
    return train(
        configuration,
        task,
        data,
        network,
        run,
        keep,
        observer,
        resume=resume,
        interrupted=interrupted,
    )
