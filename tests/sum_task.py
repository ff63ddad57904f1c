"""A task so small that its trainings can be computed again in plain torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import zoo
from zoo import installed
from zoo.interfaces import Batch, BuildModel, Callback, Data, MetricSums, State, Step, Task
from zoo.nn import gather_last

INPUT_SIZE = 2


@dataclass(frozen=True)
class SumOptions(zoo.Options):
    rows: int = zoo.option(160, "rows of the training split", minimum=0)
    validation_rows: int = zoo.option(40, "rows of the validation split", minimum=0)


class InOrder:
    """A split whose training batches are consecutive rows, in every epoch."""

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    @property
    def num_examples(self) -> int:
        return len(self.inputs)

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> list[Batch]:
        del seed, epoch
        starts = range(0, len(self.inputs), batch_size)
        return [self.batch(first, first + batch_size) for first in starts]

    def eval_batches(self) -> list[Batch]:
        return [self.batch(0, len(self.inputs))]

    def batch(self, first: int, after: int) -> Batch:
        inputs = self.inputs[first:after]
        return Batch(inputs, torch.full((len(inputs),), inputs.shape[1]), self.targets[first:after])


class SumNetwork(nn.Module):
    """A model, and a linear layer on its last output."""

    def __init__(self, build_model: BuildModel) -> None:
        super().__init__()
        self.rnn = build_model(INPUT_SIZE)
        self.fc = nn.Linear(self.rnn.output_size, 1)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        outputs, _ = self.rnn(inputs, lengths)
        return self.fc(gather_last(outputs, lengths))[:, 0]  # type: ignore[no-any-return]


class Sum(Task):
    """Predict the sum of all inputs of a row; the loss is the mean squared error."""

    def __init__(self, options: SumOptions) -> None:
        self.options = options

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        del path, seed, fit
        generator = torch.Generator().manual_seed(0)
        splits = {}
        for name, rows in (
            ("train", self.options.rows),
            ("validation", self.options.validation_rows),
            ("test", 10),
        ):
            inputs = torch.randn(rows, 3, INPUT_SIZE, generator=generator)
            splits[name] = InOrder(inputs, inputs.sum((1, 2)))
        return Data(splits, digest="0" * 64, summary="random rows")

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        del state

    def network(self, build_model: BuildModel) -> nn.Module:
        return SumNetwork(build_model)

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        del state
        outputs = network(batch.inputs, batch.lengths)
        squares = (outputs - batch.targets) ** 2
        sums = {"squares": squares.detach().sum(), "rows": torch.tensor(len(batch))}
        return Step(squares.mean(), sums, outputs=outputs.detach())

    def metrics(self, metric_sums: MetricSums) -> dict[str, Any]:
        rows = int(metric_sums["rows"])
        return {"examples": rows, "loss": float(metric_sums["squares"]) / rows}

    def probe(self) -> Batch:
        inputs = torch.linspace(-1, 1, 12).view(2, 3, INPUT_SIZE)
        return Batch(inputs, torch.tensor([3, 2]), torch.zeros(2))


TASK = zoo.TaskInfo(
    name="sum",
    summary="Add numbers",
    target=Sum,
    options=SumOptions,
    monitor="loss",
    higher_is_better=False,
)


@contextmanager
def registered(*records: Any) -> Iterator[None]:
    """Have the task and further records in the registry."""
    installed.forget()
    zoo.register(TASK, *records)
    try:
        yield
    finally:
        installed.forget()


class Recorder(Callback):
    """Keeps a copy of all parameters before the first step and after each, and the metrics."""

    def __init__(self) -> None:
        self.parameters: list[dict[str, Tensor]] = []
        self.logs: list[dict[str, Any]] = []
        self.evaluations: list[dict[str, Any]] = []
        self.data: Any = None
        self.network = nn.Module()

    def on_train_begin(self, trainer: Any) -> None:
        self.data, self.network = trainer.data, trainer.network
        self._record(trainer)

    def on_step_end(self, trainer: Any) -> None:
        self._record(trainer)

    def on_log(self, trainer: Any, metrics: dict[str, Any]) -> None:
        self.logs.append({"step": trainer.state.step, **metrics})

    def on_evaluate(self, trainer: Any, metrics: dict[str, Any]) -> None:
        self.evaluations.append({"step": trainer.state.step, **metrics})

    def _record(self, trainer: Any) -> None:
        state = trainer.network.state_dict()
        self.parameters.append({name: tensor.clone() for name, tensor in state.items()})


def equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Return whether two state dictionaries are the same, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def batches_of(data: Any, batch_size: int) -> Sequence[Batch]:
    """Return the training batches of the first epoch of a run with seed 1."""
    found: Sequence[Batch] = data.splits["train"].train_batches(1, 0, batch_size)
    return found
