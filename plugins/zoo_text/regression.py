"""Text regression: a number a text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.ragged import Array, IntArray
from zoo.errors import DataError
from zoo.interfaces import Metric, Outcomes, Split
from zoo_text.inference import answer
from zoo_text.learned import read_scale, scaling_in_words
from zoo_text.options import RegressionOptions
from zoo_text.outcomes import outcomes_of_numbers
from zoo_text.predictions import TextValuePrediction, of_numbers
from zoo_text.regression_metrics import RegressionMetrics
from zoo_text.tables import LabeledTexts
from zoo_text.task import TextTask


class TextRegression(TextTask):
    """Many-to-one: a number for a text.

    The network predicts ``(number - mean) / deviation`` of the training texts.

    Args:
        options: See ``zoo show text-regression``.
    """

    kind: ClassVar[str] = "numbers"
    options: RegressionOptions
    num_outputs = 1

    def __init__(self, options: RegressionOptions) -> None:
        super().__init__(options)
        self.mean, self.deviation = 0.0, 1.0

    def known_labels(self) -> None:
        return None

    def fit_targets(self, source: LabeledTexts, train: IntArray | slice) -> None:
        values = source.targets[train]
        with np.errstate(over="ignore", invalid="ignore"):
            mean, deviation = float(values.mean()), float(values.std())
        if not math.isfinite(deviation):
            raise DataError("numbers are too large", why="their variance is not finite")
        self.mean, self.deviation = mean, deviation or 1.0

    def targets(self, source: LabeledTexts) -> Array:
        return source.targets.astype(np.float64)  # Of dates, float32 knows no minutes.

    def initial_bias(self) -> Tensor:
        return torch.zeros(1)

    def scaling_classes(self, targets: Tensor) -> Tensor:
        """Return whether numbers are in the lowest, middle or highest third (M, 3)."""
        edges = torch.quantile(targets.double(), torch.tensor([1 / 3, 2 / 3]).double())
        return nn.functional.one_hot(torch.bucketize(targets.double(), edges), 3).float()

    def losses(
        self, outputs: Tensor, targets: Tensor, *, weighted: bool, smoothing: float = 0.0
    ) -> Tensor:
        del weighted, smoothing
        scaled = ((targets - self.mean) / self.deviation).to(outputs.dtype)
        return 0.5 * (outputs[:, 0] - scaled).square()

    def make_metrics(self, network: nn.Module) -> Sequence[Metric]:
        """Return the metrics of an evaluation; see :class:`zoo.interfaces.MakesMetrics`."""
        del network
        return [RegressionMetrics(mean=self.mean)]

    def in_units(self, outputs: Tensor) -> Tensor:
        """Return outputs in the unit of the targets."""
        return outputs.double() * self.deviation + self.mean

    def answers(self, network: nn.Module, outputs: Tensor) -> list[str]:
        """Return how outputs become numbers: the numbers differ a little between machines."""
        del network
        return [scaling_in_words(self.mean, self.deviation)] * len(outputs)

    def predict(self, network: nn.Module, texts: Sequence[str]) -> list[TextValuePrediction]:
        """Return a number for each text."""
        if not texts:
            return []
        outputs, known = answer(self, network, texts)
        return of_numbers(texts, self.in_units(outputs[:, 0]).tolist(), known)

    def outcomes(self, network: nn.Module, split: Split) -> Outcomes:
        """Return what each text becomes; see :class:`zoo.interfaces.ScoresExamples`."""
        return outcomes_of_numbers(self, network, split)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "mean": self.mean, "deviation": self.deviation}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.mean, self.deviation = read_scale(state)
