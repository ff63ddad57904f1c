"""Evaluation of a split: sums over batches, made into metrics once at the end."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn

from zoo.engine.faults import naming_plugin
from zoo.engine.processes import ONE_PROCESS, Evaluated, Processes
from zoo.engine.sums import SumAccumulator
from zoo.errors import DataError, PluginError, UsageError, ZooWarning, did_you_mean, listed
from zoo.interfaces import (
    Batch,
    Data,
    MakesMetrics,
    Metric,
    Metrics,
    ShufflesSteps,
    Split,
    State,
    Task,
)
from zoo.records import MetricInfo, TaskInfo
from zoo.registry import Registry, resolve_target

Progress = Callable[[Sequence[Batch]], Iterable[Batch]]
"""Wraps a sequence of batches, for instance in a progress bar."""


def evaluate(
    task: Task,
    network: nn.Module,
    split: Split,
    metrics: Sequence[MetricInfo] = (),
    progress: Progress = lambda batches: batches,
    processes: Processes = ONE_PROCESS,
) -> Metrics:
    """Return the metrics of a split; the network is put into evaluation mode.

    They are those that the task computes of sums, those that it makes for a pass
    (:class:`zoo.interfaces.MakesMetrics`) and further ones.

    Args:
        task: Computes the sums of a batch and the metrics.
        network: The network, on the device to compute on.
        split: The examples.
        metrics: Further metrics.
        progress: Wraps the batches.
        processes: Share the batches; the metrics are computed by the main one.

    Raises:
        PluginError: A metric has the name of another one; or a metric, the task or the model
            failed, and the message names it.
        DataError: The split has no batches.
    """
    device = next(network.parameters()).device
    network.eval()
    made: list[tuple[str, Metric]] = []
    who = _name(task)
    with naming_plugin(f"make_metrics of {who}"):
        if isinstance(task, MakesMetrics):
            made += [(type(metric).__name__, metric) for metric in task.make_metrics(network)]
    for info in metrics:
        with naming_plugin(f"metric {info.name!r}"):
            made.append((info.name, resolve_target(info.target)(task)))
    sums = SumAccumulator()
    state: State | None = None
    count = 0

    def where() -> str:
        return f"evaluation, batch {count}"

    def compute(batch: Batch) -> Evaluated:
        nonlocal count, state
        count += 1
        with naming_plugin(f"step of {who}", where):
            batch = batch.to(device)
            step = task.step(network, batch, None if batch.reset_state else state)
            state = step.state
        return batch, step

    with torch.inference_mode():
        batches = progress(split.eval_batches())
        for batch, step in processes.evaluated(batches, compute, outputs=bool(made)):
            with naming_plugin(f"step of {who}", where):
                sums.add(step.metric_sums)
            for name, metric in made:
                with naming_plugin(f"metric {name!r}", where):
                    metric.update(batch, step)
    if not processes.is_main:
        return processes.broadcast_metrics({})
    if not count:
        raise DataError("the split has no batches", why=f"it has {split.num_examples:,} examples")
    with naming_plugin(f"metrics of {who}"):
        values = dict(task.metrics(sums.total()))
    for name, metric in made:
        with naming_plugin(f"metric {name!r}", where):
            computed = dict(metric.compute())
        if clash := sorted(computed.keys() & values.keys()):
            raise PluginError(f"metric {name!r} returns {clash[0]!r}, which exists already")
        values |= computed
    return processes.broadcast_metrics(values)


def evaluate_split(
    task: Task,
    network: nn.Module,
    split: Split,
    metrics: Sequence[MetricInfo] = (),
    progress: Progress = lambda batches: batches,
    processes: Processes = ONE_PROCESS,
) -> Metrics:
    """Return what :meth:`zoo.interfaces.Task.evaluate` says of a split; as :func:`evaluate`."""
    with naming_plugin(f"evaluate of {_name(task)}"):
        return task.evaluate(
            split, lambda part: evaluate(task, network, part, metrics, progress, processes)
        )


def _name(task: Task) -> str:
    return f"task {type(task).__module__}.{type(task).__qualname__}"


def check_metrics(metrics: Iterable[MetricInfo], task: TaskInfo) -> None:
    """Refuse further metrics that are declared for other tasks.

    Raises:
        UsageError: One of them is; the message names it.
    """
    for metric in metrics:
        if metric.tasks and task.name not in metric.tasks:
            raise UsageError(
                f"metric {metric.name!r} cannot be computed for task {task.name!r}",
                why=f"it is declared for {', '.join(metric.tasks)}",
                fix="see `zoo list --metrics`",
            )


def installed_metrics(names: Iterable[str], registry: Registry) -> tuple[str, ...]:
    """Return the names of further metrics of a run without those that are no longer installed.

    Some have become metrics of their tasks, which are always computed. A warning names them.
    """
    asked = list(names)
    gone = [name for name in asked if not registry.has(MetricInfo, name)]
    if gone:
        message = f"metric {listed(gone)} is no longer installed and left out"
        warnings.warn(message, ZooWarning, stacklevel=3)
    return tuple(name for name in asked if name not in gone)


def get_split(data: Data, name: str) -> Split:
    """Return a split by name.

    Raises:
        UsageError: The data has no such split.
    """
    if name not in data.splits:
        raise UsageError(
            f"no split {name!r}{did_you_mean(name, data.splits)}",
            where=data.summary,
            fix=f"splits are {', '.join(data.splits)}",
        )
    return data.splits[name]


def choose_split(data: Data, name: str, shuffle_seed: int | None = None) -> Split:
    """Return a split to evaluate on, with the steps of its rows shuffled if a seed is given.

    Raises:
        UsageError: The data has no such split, or its steps cannot be shuffled.
        DataError: The split is empty.
    """
    split = get_split(data, name)
    if not split.num_examples:
        raise DataError(f"the {name} split is empty", where=data.summary, fix="use --split all")
    if shuffle_seed is None:
        return split
    if not isinstance(split, ShufflesSteps):
        raise UsageError("the steps of this data cannot be shuffled", where=data.summary)
    return split.shuffle_steps(shuffle_seed)
