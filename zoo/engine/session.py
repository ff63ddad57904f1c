"""From configuration to kept weights, and from weights to a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from zoo.building import make_network, make_task
from zoo.catalog import Catalog
from zoo.config import Configuration
from zoo.data.source import SAMPLE, locate
from zoo.engine.evaluation import Watch, part, score
from zoo.engine.loop import Observer, Outcome, train
from zoo.engine.rundir import RunDirectory
from zoo.errors import DataError, UsageError
from zoo.interfaces import Data, Split, Task
from zoo.registry import Registry
from zoo.weights.file import Weights
from zoo.weights.network import describe, save

DATA_SHA256 = "data_sha256"


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
    path = locate(configuration.data, catalog)
    data = task.prepare(path, configuration.seed)
    for name in ("train", "validation"):
        part(data, name)
    if resume:
        _same_data(run, data)
    torch.manual_seed(configuration.seed)
    network = make_network(task, configuration.model, configuration.model_options).to(device)
    if not resume:
        run.create({**configuration.to_json(), DATA_SHA256: data.digest})
    header = describe(
        configuration.name,
        task,
        configuration.task,
        configuration.task_options,
        configuration.model,
        configuration.model_options,
        registry,
    )
    # A path would say where the data lay on this machine, and nothing on any other.
    named = SAMPLE if path is None else configuration.data
    header["data"] = {
        "name": named if named in (SAMPLE, *catalog.data) else "",
        "summary": data.summary,
        "sha256": data.digest,
    }
    header["training"] = {**asdict(configuration.training), "seed": configuration.seed}

    def keep(kept: nn.Module, metrics: Mapping[str, Any]) -> None:
        save(run.weights, kept, task, {**header, "metrics": {"validation": metrics}})

    prepared(data, network)
    with run.lock():
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


def run_evaluation(
    weights: Weights,
    task: Task,
    network: nn.Module,
    catalog: Catalog,
    *,
    data: str,
    split: str,
    shuffle: bool = False,
    watch: Watch = lambda batches: batches,
) -> dict[str, Any]:
    """Score trained weights on a part of some data.

    Args:
        weights: The file that task and network were built from.
        task: The task, restored.
        network: The network, on the device to compute on.
        catalog: Data rows, and the run that the weights may be those of.
        data: A path or a name; empty for the data of the training.
        split: The part to score.
        shuffle: Put the steps of every example into random order first.
        watch: Wraps the batches.

    Returns:
        The metrics, and what they were measured on.

    Raises:
        UsageError: The data of the training cannot be had by name, or cannot be shuffled.
        DataError: The data is missing, or unfit for what the network learned.
    """
    header = weights.header
    source = data or header["data"]["name"] or _row_data(header["name"], catalog)
    if not source:
        raise UsageError(
            "data of the training is not known by name",
            where=str(weights.path),
            why=f"it was {header['data']['summary']}",
            fix="give it with --data",
        )
    prepared = task.prepare(locate(source, catalog), header["training"]["seed"], learn=False)
    chosen: Split = part(prepared, split)
    if not chosen.examples:
        raise DataError(f"{split} part is empty", where=prepared.summary, fix="use --split all")
    if shuffle:
        shuffled = getattr(chosen, "shuffled_within", None)
        if shuffled is None:
            raise UsageError(f"the examples of {header['task']['name']} cannot be shuffled")
        chosen = shuffled(header["training"]["seed"])
    metrics = task.evaluate(chosen, lambda s: score(task, network, s, watch))
    return {
        "name": header["name"],
        "split": split,
        "shuffled": shuffle,
        "data": prepared.summary,
        "data_sha256": prepared.digest,
        "training_data": prepared.digest == header["data"]["sha256"],
        "examples": chosen.examples,
        **metrics,
    }


def _same_data(run: RunDirectory, data: Data) -> None:
    """Refuse to go on with other data: what was test data then might be learned from now."""
    if run.read_config().get(DATA_SHA256, data.digest) != data.digest:
        raise DataError(
            "data has changed since the run was started",
            where=str(run.path),
            why=f"{data.summary} now has the digest {data.digest}",
            fix="put the old data back, or start anew in another --out",
        )


def _row_data(name: str, catalog: Catalog) -> str:
    return catalog.runs[name].data if name in catalog.runs else ""
