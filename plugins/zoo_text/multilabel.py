"""Text classification with any number of labels a text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.ragged import Array, IntArray
from zoo.interfaces import Metric, Outcomes, Split
from zoo_text.calibration import choose_threshold, fit_temperature, logit
from zoo_text.inference import answer, collect
from zoo_text.labels import LabelTask, check_labels
from zoo_text.multilabel_metrics import MultilabelMetrics
from zoo_text.network import TextNetwork
from zoo_text.outcomes import outcomes_of_label_sets
from zoo_text.predictions import TextLabelsPrediction, of_label_sets
from zoo_text.tables import LabeledTexts


class TextMultilabel(LabelTask):
    """Many-to-one: all labels of a text that apply, each independently of the others.

    Args:
        options: See ``zoo show text-multilabel``.
    """

    kind: ClassVar[str] = "multilabel"
    several: ClassVar[bool] = True

    @property
    def num_outputs(self) -> int:
        return len(self.labels)

    @property
    def calibrated(self) -> bool:
        return True

    # Labels

    def fit_targets(self, source: LabeledTexts, train: IntArray | slice) -> None:
        self.labels = source.names
        chosen = source.targets[train]
        counts = chosen.sum(0, dtype=np.int64)
        self.shares = [float(share) for share in (counts + 0.5) / (len(chosen) + 1)]

    def targets(self, source: LabeledTexts) -> Array:
        check_labels(source.names, self.labels)
        index = [self.labels.index(name) for name in source.names]
        targets = torch.zeros(len(source.texts), len(self.labels))
        targets[:, index] = torch.from_numpy(source.targets).float()
        return targets.numpy()

    def initial_bias(self) -> Tensor:
        return torch.tensor(self.shares).logit()

    def scaling_classes(self, targets: Tensor) -> Tensor:
        # A text without labels counts, too.
        return torch.cat((targets, (targets.sum(1, keepdim=True) == 0).float()), dim=1)

    def losses(
        self, outputs: Tensor, targets: Tensor, *, weighted: bool, smoothing: float = 0.0
    ) -> Tensor:
        losses = nn.functional.binary_cross_entropy_with_logits(
            outputs, targets * (1 - smoothing) + smoothing / 2, reduction="none"
        )
        if weighted and self.options.class_weight == "balanced":
            shares = torch.tensor(self.shares, device=losses.device)
            losses = losses * torch.where(targets > 0, 0.5 / shares, 0.5 / (1 - shares))
        return losses.sum(1)

    # Evaluation

    def make_metrics(self, network: nn.Module) -> Sequence[Metric]:
        """Return the metrics of an evaluation; see :class:`zoo.interfaces.MakesMetrics`."""
        assert isinstance(network, TextNetwork)
        return [
            MultilabelMetrics(
                self.labels, frequencies=self.shares or None, threshold=float(network.threshold),
                baseline_threshold=float(network.linear_threshold),
            )
        ]  # fmt: skip

    @torch.inference_mode()
    def calibrate(self, network: nn.Module, split: Split) -> None:
        """Fit temperature and threshold; see :class:`zoo.interfaces.Calibrates`."""
        assert isinstance(network, TextNetwork)
        network.temperature.fill_(1.0)
        outputs, targets, linear = collect(self, network, split)
        if self.options.calibration == "temperature":
            network.temperature.fill_(fit_temperature(outputs, targets))
        network.threshold.fill_(self._best_threshold(outputs / network.temperature.cpu(), targets))
        if linear is not None:
            network.linear_threshold.fill_(self._best_threshold(linear, targets))

    def decision_shift(self, outputs: Tensor, targets: Tensor) -> float:
        return -logit(self._best_threshold(outputs, targets))

    def _best_threshold(self, outputs: Tensor, targets: Tensor) -> float:
        if self.options.threshold == "none":
            return 0.5
        scores = outputs.sigmoid().numpy()
        return choose_threshold(scores, targets.bool().numpy(), self.options.threshold)

    # Use

    def answers(self, network: nn.Module, outputs: Tensor) -> list[str]:
        assert isinstance(network, TextNetwork)
        found = (outputs.sigmoid() > float(network.threshold)).tolist()
        return ["|".join(compress(self.labels, row)) for row in found]

    def predict(self, network: nn.Module, texts: Sequence[str]) -> list[TextLabelsPrediction]:
        """Return the labels of each text, and the probability of every label."""
        if not texts:
            return []
        assert isinstance(network, TextNetwork)
        outputs, known = answer(self, network, texts)
        scores = outputs.sigmoid().tolist()
        return of_label_sets(texts, self.labels, scores, float(network.threshold), known)

    def outcomes(self, network: nn.Module, split: Split) -> Outcomes:
        """Return what each text becomes; see :class:`zoo.interfaces.ScoresExamples`."""
        return outcomes_of_label_sets(self, network, split)
