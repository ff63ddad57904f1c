"""Tasks for the tests of the checks: a right one, and broken ones with one fault each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import zoo
from zoo.data.ragged import Ragged
from zoo.errors import DataError
from zoo.interfaces import (
    Batch,
    BuildModel,
    Data,
    LabelPrediction,
    Metrics,
    MetricSums,
    Mistake,
    Split,
    State,
    Step,
    Task,
)
from zoo.nn import gather_last

LABELS = ("negative", "positive")


class SignNetwork(nn.Module):
    def __init__(self, build_model: BuildModel, scale: float) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale), persistent=False)
        self.rnn = build_model(1)
        self.fc = nn.Linear(self.rnn.output_size, 1)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        outputs, _ = self.rnn(inputs / self.get_buffer("scale"), lengths)
        logits: Tensor = self.fc(gather_last(outputs, lengths))[:, 0]
        return logits


class Sign(Task):
    """Is the sum of some numbers positive? Right; the broken ones change it."""

    def __init__(self, options: zoo.Options) -> None:
        self.options = options
        self.scale = 1.0

    def rows(self) -> list[Any]:
        generator = np.random.default_rng(3)
        return [generator.normal(size=(n, 1)).astype(np.float32) for n in [3, 1, 5, 2] * 30]

    def split(self, rows: list[Any]) -> Any:
        return Ragged.of(rows, np.array([row.sum() > 0 for row in rows], np.float32))

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        if path is not None:
            raise DataError("sign reads no data", where=str(path))
        rows = self.rows()
        order = np.random.default_rng(seed).permutation(len(rows))
        parts = {"train": order[:60], "validation": order[60:90], "test": order[90:]}
        if fit:
            self.fit([rows[i] for i in parts["train"]])
        splits = {name: self.split([rows[i] for i in part]) for name, part in parts.items()}
        splits["all"] = self.split(rows)
        return self.data(splits, rows)

    def fit(self, rows: list[Any]) -> None:
        self.scale = float(np.concatenate(rows).std())

    def data(self, splits: dict[str, Any], rows: list[Any]) -> Data:
        digest = hashlib.sha256(np.concatenate(rows).tobytes()).hexdigest()
        return Data(splits, digest, f"{len(rows)} rows")

    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scale}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.scale = float(state["scale"])

    def network(self, build_model: BuildModel) -> nn.Module:
        return SignNetwork(build_model, self.scale)

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        logits = network(batch.inputs, batch.lengths)
        losses = nn.functional.binary_cross_entropy_with_logits(
            logits, batch.targets, reduction="none"
        )
        right = ((logits > 0) == (batch.targets > 0.5)).sum()
        sums = {"loss": losses.detach().sum(), "right": right, "rows": torch.tensor(len(batch))}
        return Step(losses.mean(), sums, outputs=logits.detach())

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        rows = int(metric_sums["rows"])
        return {
            "examples": rows,
            "loss": float(metric_sums["loss"]) / rows,
            "accuracy": float(metric_sums["right"]) / rows,
        }

    def probe(self) -> Batch:
        inputs = torch.linspace(-self.scale, self.scale, 8).view(2, 4, 1)
        return Batch(inputs, torch.tensor([4, 2]), torch.zeros(2))

    @torch.inference_mode()
    def predict(self, network: nn.Module, texts: Sequence[str]) -> list[LabelPrediction]:
        rows = [np.array([[float(word)] for word in text.split()], np.float32) for text in texts]
        return [self.answer(network, text, row) for text, row in zip(texts, rows, strict=True)]

    def answer(self, network: nn.Module, text: str, row: Any) -> LabelPrediction:
        logit = float(network(torch.from_numpy(row)[None], torch.tensor([len(row)]))[0])
        chance = 1 / (1 + np.exp(-abs(logit)))
        return LabelPrediction(text, LABELS[int(logit > 0)], float(chance))

    def probe_texts(self) -> list[str]:
        return ["1.5 -2", "0.25", "-1 -1 3"]

    def probe_answers(self, network: nn.Module, texts: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {"token_ids": [], "outputs": [float(found.probability)], "answer": found.label}
            for found in self.predict(network, texts)
        ]

    @torch.inference_mode()
    def mistakes(self, network: nn.Module, split: Split, count: int) -> list[Mistake]:
        found = []
        for batch in split.eval_batches():
            for row, length, target in zip(
                batch.inputs, batch.lengths.tolist(), batch.targets.tolist(), strict=True
            ):
                values = row[:length].numpy()
                text = " ".join(repr(float(value)) for value in values[:, 0])
                answer = self.answer(network, text, values)
                if answer.label != LABELS[int(target)]:
                    found.append(Mistake(answer, LABELS[int(target)]))
        return found[:count]


class NoTestSplit(Sign):
    def data(self, splits: dict[str, Any], rows: list[Any]) -> Data:
        del splits["test"]
        return super().data(splits, rows)


class EmptyTraining(Sign):
    def data(self, splits: dict[str, Any], rows: list[Any]) -> Data:
        return super().data({**splits, "train": self.split([])}, rows)


class NoDigest(Sign):
    def data(self, splits: dict[str, Any], rows: list[Any]) -> Data:
        return Data(splits, "", "rows")


class IgnoresPath(Sign):
    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        return super().prepare(None, seed, fit=fit)


class CrashesOnEmpty(Sign):
    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        if path is not None:
            raise IndexError("list index out of range")
        return super().prepare(path, seed, fit=fit)


class _Changed:
    """A split that hands everything on."""

    def __init__(self, split: Ragged) -> None:
        self.inner = split
        self.num_examples = split.num_examples

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Any:
        return self.inner.train_batches(seed, epoch, batch_size)

    def eval_batches(self) -> Any:
        return self.inner.eval_batches()


class _Generator(_Changed):
    def eval_batches(self) -> Any:
        return iter(list(self.inner.eval_batches()))


class GeneratorOfBatches(Sign):
    def split(self, rows: list[Any]) -> Any:
        return _Generator(super().split(rows))


class _NeverEnds(Sequence[Batch]):
    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: Any) -> Any:
        return self.batches[index % len(self.batches)]


class _Endless(_Changed):
    def eval_batches(self) -> Any:
        return _NeverEnds(self.inner.eval_batches())


class EndlessBatches(Sign):
    def split(self, rows: list[Any]) -> Any:
        return _Endless(super().split(rows))


class _Global(_Changed):
    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Any:
        np.random.shuffle(np.arange(4))
        return self.inner.train_batches(seed, epoch, batch_size)


class GlobalShuffle(Sign):
    def split(self, rows: list[Any]) -> Any:
        return _Global(super().split(rows))


class _Unseeded(_Changed):
    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Any:
        drawn = int(np.random.default_rng().integers(1 << 30))
        return self.inner.train_batches(drawn, epoch, batch_size)


class UnseededShuffle(Sign):
    def split(self, rows: list[Any]) -> Any:
        return _Unseeded(super().split(rows))


class _DropsLast(_Changed):
    def eval_batches(self) -> Any:
        return [
            self.inner.batch(np.arange(at, at + 7)) for at in range(0, self.num_examples - 7, 7)
        ]


class DropsLastBatch(Sign):
    def split(self, rows: list[Any]) -> Any:
        return _DropsLast(super().split(rows))


class EmptyRows(Sign):
    def rows(self) -> list[Any]:
        return [row[:0] if number % 10 == 3 else row for number, row in enumerate(super().rows())]


class RandomData(Sign):
    def rows(self) -> list[Any]:
        noise = float(np.random.default_rng().normal())
        return [row + noise for row in super().rows()]


class TestIsTraining(Sign):
    def data(self, splits: dict[str, Any], rows: list[Any]) -> Data:
        return super().data({**splits, "test": splits["train"]}, rows)


class ValidationInTraining(Sign):
    def data(self, splits: dict[str, Any], rows: list[Any]) -> Data:
        return super().data({**splits, "train": splits["all"]}, rows)


class TensorState(Sign):
    def state_dict(self) -> dict[str, Any]:
        return {"scale": torch.tensor(self.scale)}


class TupleState(Sign):
    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scale, "shape": (1, 2)}


class ForgetsScale(Sign):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        float(state["scale"])


class AlwaysFits(Sign):
    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        data = super().prepare(path, seed, fit=True)
        if not fit:
            self.scale *= 1.5
        return data


class TakesAnything(Sign):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.scale = state["scale"]


class VectorLoss(Sign):
    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        step = super().step(network, batch, state)
        return Step(step.loss.expand(2), step.metric_sums)


class DetachedLoss(Sign):
    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        step = super().step(network, batch, state)
        return Step(step.loss.detach(), step.metric_sums)


class NumberSums(Sign):
    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        step = super().step(network, batch, state)
        return Step(step.loss, {name: float(v) for name, v in step.metric_sums.items()})  # type: ignore[misc]


class MeanOfMeans(Sign):
    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        step = super().step(network, batch, state)
        sums = {"loss": step.loss.detach(), "batches": torch.tensor(1.0)}
        return Step(step.loss, {**step.metric_sums, **sums})

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        loss = float(metric_sums["loss"]) / float(metric_sums["batches"])
        return {**super().metrics(metric_sums), "loss": loss}


class NoMonitor(Sign):
    def metrics(self, metric_sums: MetricSums) -> Metrics:
        found = super().metrics(metric_sums)
        del found["loss"]
        return found


class TensorMetric(Sign):
    def metrics(self, metric_sums: MetricSums) -> Metrics:
        return {**super().metrics(metric_sums), "rows": metric_sums["rows"]}


class NotANumber(Sign):
    def metrics(self, metric_sums: MetricSums) -> Metrics:
        return {**super().metrics(metric_sums), "f1": float("nan")}


class WrongDirection(Sign):
    pass


class TrainsInEvaluation(Sign):
    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        step = super().step(network, batch, state)
        if not network.training:
            network.get_parameter("fc.weight").data.mul_(0.999)
        return step


class DrawsInEvaluation(Sign):
    def metrics(self, metric_sums: MetricSums) -> Metrics:
        torch.rand(1)
        return super().metrics(metric_sums)


class Ascends(Sign):
    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        step = super().step(network, batch, state)
        return Step(step.loss.detach() + (step.loss.detach() - step.loss), step.metric_sums)


class ConstantProbe(Sign):
    def probe_outputs(self, network: nn.Module, batch: Batch) -> Tensor:
        return torch.zeros(2)


class InfiniteProbe(Sign):
    def probe(self) -> Batch:
        batch = super().probe()
        return Batch(batch.inputs * torch.nan, batch.lengths, batch.targets)


class ForgetsInNetwork(Sign):
    """Keeps what was learned from the data in the task, outside its state."""

    extra = 1.0

    def fit(self, rows: list[Any]) -> None:
        super().fit(rows)
        self.extra = 5.0

    def network(self, build_model: BuildModel) -> nn.Module:
        return SignNetwork(build_model, self.scale * self.extra)


class Reversed(Sign):
    def predict(self, network: nn.Module, texts: Sequence[str]) -> list[LabelPrediction]:
        return super().predict(network, texts)[::-1]


class DependsOnOthers(Sign):
    @torch.inference_mode()
    def predict(self, network: nn.Module, texts: Sequence[str]) -> list[LabelPrediction]:
        found = super().predict(network, texts)
        return [LabelPrediction(p.text, p.label, p.probability / len(texts)) for p in found]


class OtherPreprocessing(Sign):
    def predict(self, network: nn.Module, texts: Sequence[str]) -> list[LabelPrediction]:
        found = []
        for text in texts:
            row = np.array([[-3 * float(word) + 1] for word in text.split()], np.float32)
            with torch.inference_mode():
                found.append(self.answer(network, text, row))
        return found


BROKEN: Mapping[type[Task], str] = {
    NoTestSplit: "prepares",
    EmptyTraining: "prepares",
    NoDigest: "prepares",
    IgnoresPath: "empty_data",
    CrashesOnEmpty: "empty_data",
    GeneratorOfBatches: "batches_end",
    EndlessBatches: "batches_end",
    GlobalShuffle: "batches_repeat",
    UnseededShuffle: "batches_repeat",
    DropsLastBatch: "batches_complete",
    EmptyRows: "lengths",
    RandomData: "data_repeats",
    TestIsTraining: "splits_disjoint",
    ValidationInTraining: "splits_disjoint",
    TensorState: "state_is_json",
    TupleState: "state_is_json",
    ForgetsScale: "state_restores",
    AlwaysFits: "state_restores",
    TakesAnything: "load_refuses",
    VectorLoss: "step",
    DetachedLoss: "step",
    NumberSums: "step",
    MeanOfMeans: "sums_add_up",
    NoMonitor: "metrics",
    TensorMetric: "metrics",
    NotANumber: "metrics",
    WrongDirection: "metrics",
    TrainsInEvaluation: "evaluation_repeats",
    DrawsInEvaluation: "evaluation_repeats",
    Ascends: "learns",
    ConstantProbe: "probe",
    InfiniteProbe: "probe",
    ForgetsInNetwork: "weights_restore",
    Reversed: "predictions",
    DependsOnOthers: "predictions",
    OtherPreprocessing: "mistakes",
}


def record(task: type[Task]) -> zoo.TaskInfo:
    """Return the record of a task."""
    return zoo.TaskInfo(
        name=task.__name__.lower(), summary="A task", target=task, monitor="loss",
        higher_is_better=task is WrongDirection,
    )  # fmt: skip
