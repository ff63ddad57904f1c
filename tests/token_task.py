"""A task whose loss is a mean over steps of rows of different lengths, beside that of sum_task."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from sum_task import INPUT_SIZE, InOrder, Sum, SumNetwork, SumOptions
from torch import Tensor, nn

import zoo
from zoo.interfaces import Batch, BuildModel, Data, MetricSums, State, Step

LONGEST = 6


class Ragged(InOrder):
    """Rows of one to six steps; evaluation has a batch for every seven of them."""

    def eval_batches(self) -> list[Batch]:
        return [self.batch(first, first + 7) for first in range(0, len(self.inputs), 7)]

    def batch(self, first: int, after: int) -> Batch:
        inputs = self.inputs[first:after]
        lengths = 1 + torch.arange(first, first + len(inputs)) % LONGEST
        return Batch(inputs, lengths, self.targets[first:after])


class TokenNetwork(SumNetwork):
    """An output a step; one parameter has no part in it."""

    def __init__(self, build_model: BuildModel) -> None:
        super().__init__(build_model)
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        return self.fc(self.rnn(inputs, lengths)[0])[..., 0]  # type: ignore[no-any-return]


class OrderedOutputs:
    """A metric that depends on the order in which it sees batches."""

    def __init__(self) -> None:
        self.batches = 0
        self.total = 0.0

    def update(self, batch: Batch, step: Step) -> None:
        assert step.outputs is not None
        self.batches += 1
        self.total += self.batches * float(step.outputs.sum()) * float(batch.inputs.abs().sum())

    def compute(self) -> Mapping[str, Any]:
        return {"batches": self.batches, "ordered": self.total}


class Unweighted(Sum):
    """Predict the running sum of a row; the loss is a mean over the steps of all rows."""

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        del path, seed, fit
        generator = torch.Generator().manual_seed(0)
        splits = {}
        for name, rows in (("train", self.options.rows), ("validation", 40), ("test", 10)):
            inputs = torch.randn(rows, LONGEST, INPUT_SIZE, generator=generator)
            splits[name] = Ragged(inputs, inputs.sum(2).cumsum(1))
        return Data(splits, digest="0" * 64, summary="random rows")

    def network(self, build_model: BuildModel) -> nn.Module:
        return TokenNetwork(build_model)

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        del state
        outputs = network(batch.inputs, batch.lengths)
        mask = torch.arange(LONGEST) < batch.lengths[:, None]
        squares = ((outputs - batch.targets) ** 2)[mask]
        sums = {"squares": squares.detach().sum(), "steps": mask.sum()}
        return Step(squares.mean(), sums, outputs=outputs.detach())

    def metrics(self, metric_sums: MetricSums) -> dict[str, Any]:
        steps = int(metric_sums["steps"])
        return {"examples": steps, "loss": float(metric_sums["squares"]) / steps}

    def make_metrics(self, network: nn.Module) -> Sequence[OrderedOutputs]:
        return [OrderedOutputs()]

    def probe(self) -> Batch:
        inputs = torch.linspace(-1, 1, 2 * LONGEST * INPUT_SIZE).view(2, LONGEST, INPUT_SIZE)
        return Batch(inputs, torch.tensor([LONGEST, 2]), torch.zeros(2, LONGEST))


class Tokens(Unweighted):
    """The same, and it says so."""

    def loss_weight(self, batch: Batch) -> float:
        return float(batch.lengths.sum())


send: dict[bool, tuple[int, signal.Signals]] = {}
"""A signal that the task sends its process, and at which call, by whether it trains."""


class Signalled(Tokens):
    """The same, with a signal."""

    def __init__(self, options: SumOptions) -> None:
        super().__init__(options)
        self.calls = {True: 0, False: 0}

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        training = network.training
        self.calls[training] += 1
        if training in send and send[training][0] == self.calls[training]:
            os.kill(os.getpid(), send[training][1])
        return super().step(network, batch, state)


def record(name: str, target: type[Unweighted]) -> zoo.TaskInfo:
    return zoo.TaskInfo(
        name=name, summary="Add numbers", target=target, options=SumOptions, monitor="loss",
        higher_is_better=False,
    )  # fmt: skip


TOKENS = record("tokens", Tokens)
UNWEIGHTED = record("unweighted", Unweighted)
SIGNALLED = record("signalled", Signalled)
