"""A task small enough to train in a test: is the sum of a row of numbers positive?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.interfaces import Batch, BuildModel, Data, Metrics, MetricSums, State, Step, Task
from zoo.nn import gather_last


@dataclass(frozen=True)
class ToyOptions(zoo.Options):
    """Options of :class:`Toy`."""

    length: int = zoo.option(4, "numbers in a row", minimum=1)


class ToySplit:
    """Rows of one length, in batches of at most eight."""

    def __init__(self, inputs: Tensor) -> None:
        self.inputs = inputs

    @property
    def num_examples(self) -> int:
        return len(self.inputs)

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Sequence[Batch]:
        draw = torch.Generator().manual_seed(1000 * seed + epoch)
        order = torch.randperm(len(self.inputs), generator=draw)
        return [make_batch(self.inputs[rows]) for rows in order.split(batch_size)]

    def eval_batches(self) -> Sequence[Batch]:
        return [make_batch(rows) for rows in self.inputs.split(8)]


def make_batch(inputs: Tensor) -> Batch:
    targets = (inputs.sum(dim=(1, 2)) > 0).float()
    return Batch(inputs, torch.full((len(inputs),), inputs.shape[1]), targets)


class Toy(Task):
    """Is the sum of a row of numbers positive?"""

    def __init__(self, options: ToyOptions) -> None:
        self.options = options
        self.scale = 1.0

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        draw = torch.Generator().manual_seed(5)
        inputs = torch.randn(64, self.options.length, 1, generator=draw)
        if fit:
            self.scale = float(inputs[:40].std())
        parts = {"train": inputs[:40], "validation": inputs[40:52], "test": inputs[52:]}
        splits = {name: ToySplit(rows / self.scale) for name, rows in parts.items()}
        return Data({**splits, "all": ToySplit(inputs / self.scale)}, "0" * 64, "64 rows")

    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scale}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.scale = float(state["scale"])

    def network(self, build_model: BuildModel) -> nn.Module:
        return ToyNetwork(build_model(1))

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        logits = network(batch.inputs, batch.lengths)
        loss = F.binary_cross_entropy_with_logits(logits, batch.targets, reduction="sum")
        right = ((logits > 0) == (batch.targets > 0.5)).sum()
        count = torch.tensor(len(batch))
        return Step(loss / len(batch), {"loss": loss, "right": right, "examples": count})

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        examples = metric_sums["examples"].item()
        return {
            "examples": int(examples),
            "loss": metric_sums["loss"].item() / examples,
            "accuracy": metric_sums["right"].item() / examples,
        }

    def probe(self) -> Batch:
        length = self.options.length
        return make_batch(torch.linspace(-1, 1, 2 * length).view(2, length, 1))


class ToyNetwork(nn.Module):
    """A linear layer on the last output of a model."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.rnn = model
        self.fc = nn.Linear(model.output_size, 1)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        outputs, _ = self.rnn(inputs, lengths)
        logits: Tensor = self.fc(gather_last(outputs, lengths))[:, 0]
        return logits


class ToyPair(Toy):
    """The same with a second model, which reads the outputs of the first."""

    def network(self, build_model: BuildModel) -> nn.Module:
        encoder = build_model(1)
        decoder = build_model.submodel("decoder", encoder.output_size)
        return ToyPairNetwork(encoder, decoder)


class ToyPairNetwork(ToyNetwork):
    """A linear layer on the last output of two models, one above the other."""

    def __init__(self, encoder: Any, decoder: Any) -> None:
        super().__init__(decoder)
        self.encoder = encoder

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        return super().forward(self.encoder(inputs, lengths)[0], lengths)


TOY = zoo.TaskInfo(
    name="toy", summary="Is the sum positive?", target=Toy, options=ToyOptions,
    monitor="loss", higher_is_better=False,
)  # fmt: skip
TOY_PAIR = zoo.TaskInfo(
    name="toy-pair", summary="Is the sum positive? Two models", target=ToyPair,
    options=ToyOptions, monitor="loss", higher_is_better=False,
    submodels={"decoder": zoo.Submodel("reads the outputs", default="rnn", needs_causal=True)},
)  # fmt: skip
