"""A task that is checked: its data, its network, an evaluation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.building import build_task
from zoo.checks.reference import ReferenceBuilder
from zoo.checks.result import CheckError, CheckSkipped
from zoo.errors import DataError
from zoo.interfaces import Batch, Data, MakesMetrics, Metrics, Split, State, Step, Task
from zoo.options import Options
from zoo.records import TaskInfo
from zoo.spec import Component

SEED, BATCH_SIZE = 1, 8
# Of a large data set so many batches are looked at.
MOST_BATCHES = 40


class TaskCase:
    """A task by its record, with its options and its data.

    Args:
        info: The record.
        options: The options; None: the defaults.
        path: Data; None: the sample that the task carries.
    """

    def __init__(
        self, info: TaskInfo, options: Options | None = None, path: Path | None = None
    ) -> None:
        self.info, self.path = info, path
        self.options = info.options() if options is None else options

    def build(self) -> Task:
        """Return a new task that has learned nothing."""
        return build_task(Component(self.info, self.options))

    def prepare(self, task: Task, *, fit: bool = True) -> Data:
        """Have a task read the data.

        Raises:
            CheckSkipped: The task carries no sample, and no data was given.
        """
        try:
            return task.prepare(self.path, SEED, fit=fit)
        except DataError as error:
            if self.path is None:
                raise CheckSkipped(f"it carries no sample: give --data FILE ({error})") from error
            raise

    @cached_property
    def prepared(self) -> tuple[Task, Data]:
        """A task that has learned from the data, and the data."""
        task = self.build()
        return task, self.prepare(task)

    def restored(self) -> Task:
        """Return a task that has what the prepared one learned, by way of JSON."""
        task, _ = self.prepared
        other = self.build()
        other.load_state_dict(json.loads(json.dumps(task.state_dict())))
        return other

    def network(self, task: Task | None = None, seed: int = SEED) -> nn.Module:
        """Return a new network around reference models, in evaluation mode."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            builder = ReferenceBuilder(bidirectional=self.info.needs_bidirectional)
            return (task or self.prepared[0]).network(builder).eval()

    def split(self, name: str) -> Split:
        """Return a split of the prepared data."""
        return self.prepared[1].splits[name]


def some(batches: Sequence[Batch]) -> list[Batch]:
    """Return the first batches, at most :data:`MOST_BATCHES`."""
    return list(islice(iter(batches), MOST_BATCHES))


def steps_of(task: Task, network: nn.Module, batches: Sequence[Batch]) -> Iterator[Step]:
    """Yield what a task says of each batch, with the state carried as the engine carries it."""
    state: State | None = None
    for batch in batches:
        step = task.step(network, batch, None if batch.reset_state else state)
        state = tuple(part.detach() for part in step.state) if step.state else None
        yield step


def evaluate(task: Task, network: nn.Module, batches: Sequence[Batch]) -> Metrics:
    """Return the metrics of some batches, as the engine computes them."""
    network.eval()
    made = list(task.make_metrics(network)) if isinstance(task, MakesMetrics) else []
    totals: dict[str, Tensor] = {}
    with torch.inference_mode():
        for batch, step in zip(batches, steps_of(task, network, batches), strict=True):
            for name, value in step.metric_sums.items():
                value = value.detach().double()
                totals[name] = totals[name] + value if name in totals else value
            for metric in made:
                metric.update(batch, step)
    found = dict(task.metrics(totals))
    for metric in made:
        found |= metric.compute()
    return found


def tensors_of(batch: Batch) -> dict[str, Tensor]:
    """Return the tensors of a batch by name, those inside tuples and dictionaries too."""
    found: dict[str, Tensor] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, Tensor):
            found[name] = value
        elif isinstance(value, dict):
            for key, item in value.items():
                add(f"{name}.{key}", item)
        elif isinstance(value, list | tuple):
            for number, item in enumerate(value):
                add(f"{name}.{number}", item)

    for declared in fields(batch):
        add(declared.name, getattr(batch, declared.name))
    return found


def expect_equal_batches(one: Sequence[Batch], other: Sequence[Batch], found: str) -> None:
    """Fail unless the first batches of two sequences are equal."""
    if len(one) != len(other):
        raise CheckError(f"{found}: {len(one)} batches and {len(other)}")
    for first, second in zip(some(one), some(other), strict=True):
        before, after = tensors_of(first), tensors_of(second)
        if before.keys() != after.keys() or not all(
            torch.equal(before[name], after[name]) for name in before
        ):
            raise CheckError(found)
