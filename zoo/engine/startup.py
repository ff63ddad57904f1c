"""What a training checks before its first step, so that a wrong model is told before an epoch."""

from __future__ import annotations

import copy
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.checks.startup import check_models
from zoo.engine.evaluation import evaluate, get_split
from zoo.engine.faults import check_step, named, naming_plugin
from zoo.engine.processes import share_of
from zoo.errors import PluginError
from zoo.interfaces import Batch, Data, Split, Task
from zoo.records import MetricInfo
from zoo.registry import Registry
from zoo.spec import RunSpec
from zoo.weights import loading, probe, writer
from zoo.weights.file import read

# Rows of the training batch.
ROWS = 8


@dataclass(frozen=True, slots=True)
class _FirstBatch:
    """The first batch of evaluation, as a split."""

    split: Split

    @property
    def num_examples(self) -> int:
        return self.split.num_examples

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> list[Batch]:
        return list(islice(self.split.train_batches(seed, epoch, batch_size), 1))

    def eval_batches(self) -> list[Batch]:
        return list(islice(self.split.eval_batches(), 1))


def check_start(
    spec: RunSpec,
    task: Task,
    data: Data,
    network: nn.Module,
    header: dict[str, Any],
    registry: Registry,
    metrics: tuple[MetricInfo, ...] = (),
    processes: int = 1,
) -> None:
    """Check models, a training and an evaluation step, and a weights file of the fresh network.

    Network and generators stay as they are.

    Args:
        spec: The run.
        task: Its task.
        data: What the task prepared.
        network: The network before its first step.
        header: That of the weights file.
        registry: What is installed.
        metrics: Further metrics of evaluations.
        processes: How many train together.

    Raises:
        PluginError: A model does not keep what is promised of models, the task fails, the
            metric that chooses the best weights is missing, or several processes cannot share the
            loss of a batch.
        WeightsError: The network cannot be saved, read and built again with the same answers.
    """
    check_models(spec.network)
    with torch.random.fork_rng():
        _check_steps(spec, task, data, network, metrics)
        if processes > 1:
            _check_shares(spec, task, data, network)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "weights.safetensors"
            writer.save(path, network, task, {**header, "metrics": {}})
            weights = read(path)
            _, restored, built = loading.build(weights, registry)
            probe.verify(weights, restored, built)


def _check_steps(
    spec: RunSpec, task: Task, data: Data, network: nn.Module, metrics: tuple[MetricInfo, ...]
) -> None:
    """Take a training step and an evaluation step on a copy of the network."""
    copied = copy.deepcopy(network)
    device = next(copied.parameters()).device
    training = _FirstBatch(get_split(data, "train"))
    for batch in training.train_batches(spec.seed, 0, ROWS):
        with _naming(who := named(spec.task, "step")):
            step = task.step(copied.train(), batch.to(device), None)
            check_step(step, who)
            step.loss.backward()
        with _naming(named(spec.task, "metrics")):
            task.metrics(step.metric_sums)
    validation = _FirstBatch(get_split(data, "validation"))
    if not validation.eval_batches():
        return  # The evaluation says what is missing.
    found = evaluate(task, copied, validation, metrics)
    monitor = spec.task.monitor
    if not isinstance(found.get(monitor), int | float):
        raise PluginError(
            f"task {spec.task.name!r} has no metric {monitor!r} to monitor",
            why=f"it has {', '.join(found)}",
        )


def _check_shares(spec: RunSpec, task: Task, data: Data, network: nn.Module) -> None:
    """Compare the loss of a batch with the sum of the losses of two parts, by their weight."""
    copied = copy.deepcopy(network).eval()  # Dropout is drawn by shape.
    device = next(copied.parameters()).device
    who = named(spec.task, "step")
    for batch in _FirstBatch(get_split(data, "train")).train_batches(spec.seed, 0, ROWS):
        if len(batch) < 2:
            continue
        total = 0.0
        with _naming(who), torch.no_grad():
            whole = float(task.step(copied, batch.to(device), None).loss)
            for rank in range(2):
                part, share = share_of(task, batch, rank, 2)
                total += share * float(task.step(copied, part.to(device), None).loss)
        if abs(total - whole) > 1e-3 * abs(whole) + 1e-6:
            raise PluginError(
                f"several processes cannot share the loss of task {spec.task.name!r}",
                where="the first batch",
                why=f"it is {whole:.6g}, and {total:.6g} as the weighted mean over its rows",
                fix="have the task implement zoo.interfaces.WeighsLoss, or train in one process",
            )


def _naming(who: str) -> AbstractContextManager[None]:
    return naming_plugin(who, lambda: "step 0, the check before the training")
