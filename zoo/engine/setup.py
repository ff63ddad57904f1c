"""From a RunSpec to a trainer: data, task, network and the callbacks of every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from zoo.building import build, build_network, build_task
from zoo.data.source import locate
from zoo.engine import extension
from zoo.engine.callbacks import EarlyStopping, MetricsLog, SaveWeights
from zoo.engine.evaluation import get_split
from zoo.engine.run_directory import RunDirectory
from zoo.engine.trainer import Trainer
from zoo.errors import DataError, PluginError, UsageError
from zoo.interfaces import Callback, Data, Task
from zoo.options import from_json
from zoo.records import CallbackInfo, MetricInfo
from zoo.spec import Component, RunSpec, TrainingOptions
from zoo.weights import writer
from zoo.weights.transfer import Transfer, transfer

DATA_SHA256 = "data_sha256"


@dataclass(frozen=True, slots=True)
class InitialWeights:
    """A trained network that another one starts from.

    Args:
        task: Its task.
        network: The network.
    """

    task: Task
    network: nn.Module


def set_up(
    spec: RunSpec,
    directory: RunDirectory,
    device: torch.device,
    callbacks: Sequence[Callback] = (),
    metrics: Sequence[MetricInfo] = (),
    *,
    init: InitialWeights | None = None,
    resume: bool = False,
    extend: bool = False,
) -> tuple[Trainer, Transfer | None]:
    """Return the trainer of a run, ready to train, and what was taken from initial weights.

    Args:
        spec: The run.
        directory: Its files; created here unless ``resume``.
        device: Where to train.
        callbacks: Further callbacks, beside those of every run and those that the run names.
        metrics: Further metrics of evaluations.
        init: Weights to start from.
        resume: Whether to continue from the checkpoint.
        extend: Whether the run that is resumed was given a length. If it is complete, it goes on
            to this length, even where that is the length in its files.

    Raises:
        ZooError: Any of them; nothing is written before the data is read and found fit.
    """
    task = build_task(spec.network.task)
    data = task.prepare(locate(spec.data, spec.dataset), spec.seed)
    for name in ("train", "validation"):
        if not get_split(data, name).num_examples:
            raise DataError(f"the {name} split is empty", where=data.summary)
    if resume:
        _check_same_data(directory, data)
    torch.manual_seed(spec.seed)
    network = build_network(task, spec.network).to(device)
    taken = None
    if init is not None:
        taken = transfer(init.network, init.task, network, task)
        if not taken:
            raise UsageError(
                f"nothing of {spec.init} fits",
                why=f"no tensor of {spec.name} has its name and shape",
                fix="see `zoo inspect` for its task, model and options",
            )
    named = [_build_callback(component) for component in spec.callbacks.values()]
    header = writer.describe(spec, task, data)
    own = [SaveWeights(header), MetricsLog(), EarlyStopping()]
    trainer = Trainer(spec, task, data, network, directory, [*own, *named, *callbacks], metrics)
    if resume:
        trainer.resume()
        if extend:
            _extend(trainer)
    else:
        directory.create({**writer.versions(), **spec.to_json(), DATA_SHA256: data.digest})
    return trainer, taken


def _extend(trainer: Trainer) -> None:
    """Extend a training that is complete or has another length, and have its files say so."""
    directory = trainer.directory
    config = directory.read_config()
    before = from_json(TrainingOptions, config["training"])
    if before == trainer.spec.training and not trainer.state.done:
        return
    extension.extend(trainer)
    # A process that is killed in between leaves the length that the run had.
    if directory.checkpoint.exists():
        extension.save_checkpoint(trainer)
    directory.rewrite_config({**config, **trainer.spec.to_json()})


def _build_callback(component: Component[CallbackInfo]) -> Callback:
    callback = build(component)
    if not isinstance(callback, Callback):
        raise PluginError(f"the target of callback {component.info.name!r} is no zoo.Callback")
    return callback


def _check_same_data(directory: RunDirectory, data: Data) -> None:
    """Refuse to resume with other data: its test part may have been training data before."""
    if directory.read_config().get(DATA_SHA256, data.digest) != data.digest:
        raise DataError(
            "the data has changed since the run was started",
            where=str(directory.path),
            why=f"{data.summary} now has the digest {data.digest}",
            fix="put the old data back, or start again in another --out",
        )
