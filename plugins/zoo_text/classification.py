"""Text classification: one label a text, of two or more."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.ragged import Array, IntArray
from zoo.errors import ZooWarning
from zoo.interfaces import Metric, Mistake, Outcomes, Split
from zoo_text.batches import TextSplit
from zoo_text.calibration import choose_threshold, fit_temperature, logit
from zoo_text.inference import answer, collect
from zoo_text.labels import LabelTask, check_labels
from zoo_text.metrics import ClassificationMetrics, all_logits, predicted_classes
from zoo_text.network import TextNetwork
from zoo_text.outcomes import outcomes_of_labels
from zoo_text.predictions import TextLabelPrediction, of_labels
from zoo_text.sample import sample
from zoo_text.tables import LabeledTexts, load_columns

# Of two labels the first one is positive if it has a smaller share of the texts than this.
RARE = 0.4


class TextClassification(LabelTask):
    """Many-to-one: the label of a text.

    Args:
        options: See ``zoo show text-classification``.
    """

    kind: ClassVar[str] = "classes"

    @property
    def num_outputs(self) -> int:
        return 1 if len(self.labels) == 2 else len(self.labels)

    @property
    def calibrated(self) -> bool:
        return self.options.calibration != "none" or self.options.threshold != "half"

    def load(self, path: Path | None, seed: int, *, fit: bool, digest: str) -> LabeledTexts:
        """Read texts and labels, in parts; those of the sample where there is no path."""
        if path is not None:
            return super().load(path, seed, fit=fit, digest=digest)
        texts, labels = zip(*sample(), strict=True)
        parts = ["train" if number % 5 else "test" for number in range(len(texts))]
        columns = {"text": texts, "label": labels, "split": parts}
        options = replace(self.options, text_column="text", label_column="label")
        return load_columns(columns, options, seed)

    # Labels

    def fit_targets(self, source: LabeledTexts, train: IntArray | slice) -> None:
        counts = np.bincount(source.targets[train], minlength=len(source.names))
        self.set_labels(source.names, counts)

    def set_labels(self, labels: list[str], counts: IntArray) -> None:
        """Take labels, and how many training texts have each.

        Warns:
            ZooWarning: A threshold is to be chosen, and there are more than two labels.
        """
        if len(labels) > 2 and self.options.threshold != "half":
            message = f"threshold is for two labels, and is not used: there are {len(labels)}"
            warnings.warn(message, ZooWarning, stacklevel=2)
        self.labels = labels
        self.shares = [float(share) for share in (counts + 0.5) / (counts + 0.5).sum()]

    def targets(self, source: LabeledTexts) -> Array:
        check_labels(source.names, self.labels)
        index = np.array([self.labels.index(name) for name in source.names], np.int64)
        chosen: Array = index[source.targets]
        return chosen

    def initial_bias(self) -> Tensor:
        logits = torch.tensor(self.shares or [1.0] * len(self.labels)).log()
        return logits[1:] - logits[:1] if self.num_outputs == 1 else logits

    def scaling_classes(self, targets: Tensor) -> Tensor:
        return nn.functional.one_hot(targets, len(self.labels)).float()

    def losses(
        self, outputs: Tensor, targets: Tensor, *, weighted: bool, smoothing: float = 0.0
    ) -> Tensor:
        if outputs.shape[1] == 1:
            smoothed = targets.to(outputs.dtype) * (1 - smoothing) + smoothing / 2
            losses = nn.functional.binary_cross_entropy_with_logits(
                outputs[:, 0], smoothed, reduction="none"
            )
        else:
            losses = nn.functional.cross_entropy(
                outputs, targets, reduction="none", label_smoothing=smoothing
            )
        if weighted and self.options.class_weight == "balanced":
            weights = 1 / (len(self.labels) * torch.tensor(self.shares, device=losses.device))
            losses = losses * weights[targets]
        return losses

    # Evaluation

    @property
    def positive(self) -> int:
        """Of two labels the one that F1 is of: a much rarer one, else the second."""
        return 0 if len(self.shares) == 2 and self.shares[0] < RARE else 1

    def score_sums(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {"accuracy": (predicted_classes(outputs) == targets).sum()}

    def make_metrics(self, network: nn.Module) -> Sequence[Metric]:
        """Return the metrics of an evaluation; see :class:`zoo.interfaces.MakesMetrics`."""
        majority = int(np.argmax(self.shares)) if self.shares else None
        return [
            ClassificationMetrics(
                self.labels, majority=majority, threshold=_threshold(network),
                baseline_threshold=float(getattr(network, "linear_threshold", 0.5)),
                positive=self.positive,
            )
        ]  # fmt: skip

    @torch.inference_mode()
    def calibrate(self, network: nn.Module, split: Split) -> None:
        """Fit temperature and threshold; see :class:`zoo.interfaces.Calibrates`."""
        if not self.calibrated:
            return
        assert isinstance(network, TextNetwork)
        network.temperature.fill_(1.0)
        network.threshold.fill_(0.5)
        outputs, targets, linear = collect(self, network, split)
        if self.options.calibration == "temperature":
            network.temperature.fill_(fit_temperature(outputs, targets))
        network.threshold.fill_(self._best_threshold(outputs / network.temperature.cpu(), targets))
        if linear is not None:
            network.linear_threshold.fill_(self._best_threshold(linear, targets))

    def _best_threshold(self, outputs: Tensor, targets: Tensor) -> float:
        """Return from which probability on the second label is best predicted."""
        if self.options.threshold == "half" or outputs.shape[1] > 1:
            return 0.5
        scores, truth = outputs[:, 0].sigmoid().numpy(), targets.numpy() == 1
        if self.positive == 0:
            return 1 - choose_threshold(1 - scores, ~truth, self.options.threshold)
        return choose_threshold(scores, truth, self.options.threshold)

    def decision_shift(self, outputs: Tensor, targets: Tensor) -> float:
        return -logit(self._best_threshold(outputs, targets))

    # Use

    def answers(self, network: nn.Module, outputs: Tensor) -> list[str]:
        best = predicted_classes(outputs, _threshold(network)).tolist()
        return [self.labels[label] for label in best]

    def predict(self, network: nn.Module, texts: Sequence[str]) -> list[TextLabelPrediction]:
        """Return the label of each text, and the probability of every label."""
        if not texts:
            return []
        outputs, known = answer(self, network, texts)
        best = self.answers(network, outputs)
        shares = all_logits(outputs).softmax(1).tolist()
        return of_labels(texts, self.labels, best, shares, known)

    @torch.inference_mode()
    def mistakes(self, network: nn.Module, split: Split, count: int) -> list[Mistake]:
        """Return the most confident mistakes; see :class:`zoo.interfaces.FindsMistakes`."""
        assert isinstance(split, TextSplit)
        outputs, targets, _ = collect(self, network, split)
        rows = split.tokens.targets[np.concatenate(split.eval_batches().plan)]
        predicted = predicted_classes(outputs, _threshold(network))
        confidence = all_logits(outputs).softmax(1).amax(1)
        confidence[predicted == targets] = -1
        wrong = confidence.topk(min(count, int((predicted != targets).sum())))
        texts = [split.text(int(rows[index])) for index in wrong.indices.tolist()]
        labels = [self.labels[int(targets[index])] for index in wrong.indices.tolist()]
        return [Mistake(*pair) for pair in zip(self.predict(network, texts), labels, strict=True)]

    def outcomes(self, network: nn.Module, split: Split) -> Outcomes:
        """Return what each text becomes; see :class:`zoo.interfaces.ScoresExamples`."""
        return outcomes_of_labels(self, network, split)


def _threshold(network: nn.Module) -> float:
    return float(getattr(network, "threshold", 0.5))
