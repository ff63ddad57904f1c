"""The wave task: three numbers in, the samples of a wave out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import DataError
from zoo.interfaces import Batch, Data, MakeModel, Metrics, State, Step, Sums, Task
from zoo.intervals import mean_interval
from zoo.layers import real
from zoo_waves.data import sample


class WaveWriter(nn.Module):
    """Standardised vector -> first step of the model -> Linear, at every step.

    The model is given the vector once and nothing after it, so that the wave is its own doing.

    Args:
        make_model: Builds the model.
        mean: Mean of each number of the vector.
        std: Standard deviation of each number.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, make_model: MakeModel, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # Not persistent: the task's assets carry them.
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)
        self.rnn = make_model(len(mean))
        self.fc = nn.Linear(self.rnn.output_size, 1)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """Return waves (B, T) of vectors (B, F), T the largest length, and the model's state."""
        first = (inputs - self.mean) / self.std
        silence = first.new_zeros(len(first), int(lengths.max()) - 1, first.shape[1])
        outputs, state = self.rnn(torch.cat((first[:, None], silence), dim=1), lengths)
        return self.fc(outputs)[..., 0], state


class Waves(Task):
    """One-to-many: the samples of a damped sine wave, from its frequency, phase and decay."""

    def __init__(self) -> None:
        self.mean: list[float] = []
        self.std: list[float] = []

    def prepare(self, path: Path | None, seed: int, *, learn: bool = True) -> Data:
        """Make waves: four fifths to train on, a tenth each to validate and to test."""
        if path is not None:
            raise DataError("waves are made, not read", where=str(path), fix="leave --data out")
        everything = sample()
        order = np.random.default_rng(seed).permutation(everything.examples)
        train, validation, test = np.split(order, [len(order) * 8 // 10, len(order) * 9 // 10])
        if learn:
            vectors = everything.vectors[train]
            self.mean, self.std = vectors.mean(0).tolist(), vectors.std(0).tolist()
        return Data(
            splits={
                "train": everything.select(train),
                "validation": everything.select(validation),
                "test": everything.select(test),
                "all": everything,
            },
            # Of what is drawn alone: sine and exponential differ in the last bit by machine.
            digest=hashlib.sha256(everything.vectors.tobytes()).hexdigest(),
            summary=f"{everything.examples} damped waves of the sample",
        )

    def assets(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std}

    def restore(self, assets: Mapping[str, Any]) -> None:
        for name in ("mean", "std"):
            numbers = assets[name]
            if not isinstance(numbers, list) or not all(type(n) is float for n in numbers):
                raise ValueError(f"{name} is not a list of numbers")
        self.mean, self.std = assets["mean"], assets["std"]

    def network(self, make_model: MakeModel) -> WaveWriter:
        return WaveWriter(make_model, self.mean, self.std)

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        written, _ = network(batch.inputs, batch.lengths)
        samples = real(batch.lengths, written.shape[1])
        squares = (written - batch.targets).square() * samples
        # A wave's error is a mean, so that every wave counts once, however long it is.
        errors = squares.sum(1) / batch.lengths
        sums = {
            "examples": torch.tensor(len(errors)),
            "error": errors.detach().sum(),
            "error_squared": errors.detach().square().sum(),
            "wave": (batch.targets.sum(1) / batch.lengths).sum(),
            "wave_squared": (batch.targets.square().sum(1) / batch.lengths).sum(),
        }
        return Step(errors.mean(), sums)

    def metrics(self, sums: Sums) -> Metrics:
        """Return the mean squared error with its interval, and the baseline of a constant answer.

        The best constant is the waves' mean, and its mean squared error their variance.
        """
        examples = float(sums["examples"])
        low, high = mean_interval(float(sums["error"]), float(sums["error_squared"]), examples)
        mean = float(sums["wave"]) / examples
        return {
            "examples": int(examples),
            "mse": float(sums["error"]) / examples,
            "mse_low": low,
            "mse_high": high,
            "baseline": float(sums["wave_squared"]) / examples - mean**2,
        }

    def probe(self) -> Batch:
        """Two waves of unlike length."""
        vectors = torch.tensor([[0.05, 0.25, 0.02], [0.1, 0.5, 0.0]])
        return Batch(vectors, torch.tensor([12, 5]), torch.zeros(2, 12))
