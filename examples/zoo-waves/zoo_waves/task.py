"""The wave task: three numbers in, the samples of a wave out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo import Options
from zoo.errors import DataError
from zoo.interfaces import Batch, BuildModel, Data, Metrics, MetricSums, State, Step, Task
from zoo.intervals import mean_interval
from zoo.nn import length_mask
from zoo_waves.data import sample


class WaveGenerator(nn.Module):
    """Standardized vector -> first step of the model -> Linear, at every step.

    The vector is the input of the first step; the inputs of later steps are zeros.

    Args:
        build_model: Builds the model.
        mean: Mean of each number of the vector.
        std: Standard deviation of each number.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, build_model: BuildModel, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        # Not persistent: the task's state_dict has them.
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)
        self.rnn = build_model(len(mean))
        self.fc = nn.Linear(self.rnn.output_size, 1)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """Return waves (B, T) of vectors (B, F), T the largest length, and the model's state."""
        first = (inputs - self.mean) / self.std
        rest = first.new_zeros(len(first), int(lengths.max()) - 1, first.shape[1])
        outputs, state = self.rnn(torch.cat((first[:, None], rest), dim=1), lengths)
        return self.fc(outputs)[..., 0], state


class Waves(Task):
    """One-to-many: the samples of a damped sine wave, from its frequency, phase and decay.

    Args:
        options: There are none.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.mean: list[float] = []
        self.std: list[float] = []

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Generate waves: 80 % for training, 10 % each for validation and test."""
        if path is not None:
            raise DataError("waves reads no data", where=str(path), fix="leave --data out")
        everything = sample()
        order = np.random.default_rng(seed).permutation(everything.num_examples)
        train, validation, test = np.split(order, [len(order) * 8 // 10, len(order) * 9 // 10])
        if fit:
            vectors = everything.vectors[train]
            self.mean, self.std = vectors.mean(0).tolist(), vectors.std(0).tolist()
        return Data(
            splits={
                "train": everything.select(train),
                "validation": everything.select(validation),
                "test": everything.select(test),
                "all": everything,
            },
            # Of the vectors alone: sine and exponential differ in the last bit between machines.
            digest=hashlib.sha256(everything.vectors.tobytes()).hexdigest(),
            summary=f"{everything.num_examples} damped waves of the sample",
        )

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name in ("mean", "std"):
            numbers = state[name]
            if not isinstance(numbers, list) or not all(type(n) is float for n in numbers):
                raise ValueError(f"{name} is not a list of numbers")
        self.mean, self.std = state["mean"], state["std"]

    def network(self, build_model: BuildModel) -> WaveGenerator:
        return WaveGenerator(build_model, self.mean, self.std)

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        waves, _ = network(batch.inputs, batch.lengths)
        squares = (waves - batch.targets).square() * length_mask(batch.lengths, waves.shape[1])
        # The error of a wave is a mean over its samples: long waves count as much as short ones.
        errors = squares.sum(1) / batch.lengths
        sums = {
            "examples": torch.tensor(len(errors)),
            "error": errors.detach().sum(),
            "error_squared": errors.detach().square().sum(),
            "wave": (batch.targets.sum(1) / batch.lengths).sum(),
            "wave_squared": (batch.targets.square().sum(1) / batch.lengths).sum(),
        }
        return Step(errors.mean(), sums, outputs=waves.detach())

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        """Return the mean squared error with its interval, and that of a constant as baseline.

        The best constant is the mean of the waves, and its mean squared error their variance.
        """
        examples = float(metric_sums["examples"])
        low, high = mean_interval(
            float(metric_sums["error"]), float(metric_sums["error_squared"]), examples
        )
        mean = float(metric_sums["wave"]) / examples
        return {
            "examples": int(examples),
            "mse": float(metric_sums["error"]) / examples,
            "mse_low": low,
            "mse_high": high,
            "baseline": float(metric_sums["wave_squared"]) / examples - mean**2,
        }

    def probe(self) -> Batch:
        """Return two waves of different lengths."""
        vectors = torch.tensor([[0.05, 0.25, 0.02], [0.1, 0.5, 0.0]])
        return Batch(vectors, torch.tensor([12, 5]), torch.zeros(2, 12))
