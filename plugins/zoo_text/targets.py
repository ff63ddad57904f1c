"""What a text task says of its targets: labels or numbers, and the loss that compares with them."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from zoo.data.ragged import Array, IntArray
from zoo.interfaces import Task
from zoo_text.tables import LabeledTexts


class TargetTask(Task):
    """A task with targets; what it reads and how is said by :class:`zoo_text.task.TextTask`."""

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """K, the outputs of the network."""

    @abstractmethod
    def fit_targets(self, source: LabeledTexts, train: IntArray | slice) -> None:
        """Learn the labels from the training texts."""

    @abstractmethod
    def targets(self, source: LabeledTexts) -> Array:
        """Return what the loss compares with, one a text."""

    @abstractmethod
    def losses(
        self, outputs: Tensor, targets: Tensor, *, weighted: bool, smoothing: float = 0.0
    ) -> Tensor:
        """Return the loss of each text (B,).

        Args:
            outputs: (B, K).
            targets: What :meth:`targets` returned of the texts.
            weighted: Whether rare labels count more, if the options say so.
            smoothing: Share of a target that is spread over all labels.
        """

    @abstractmethod
    def initial_bias(self) -> Tensor:
        """Return outputs (K,) that give each label its probability in the training."""

    @abstractmethod
    def known_labels(self) -> list[str] | None:
        """Return the labels of the training; None for numbers."""

    @abstractmethod
    def answers(self, network: nn.Module, outputs: Tensor) -> list[str]:
        """Return what outputs (M, K) say, as text."""

    @property
    def smoothing(self) -> float:
        """Share of a target that is spread over all labels in training."""
        return 0.0

    def scaling_classes(self, targets: Tensor) -> Tensor | None:
        """Return labels (M, C) by which features of the linear model are scaled, or None."""
        del targets
        return None

    def decision_shift(self, outputs: Tensor, targets: Tensor) -> float:
        """Return what is added to outputs of a baseline, so that it decides where it is best.

        Args:
            outputs: (V, K) for the validation texts.
            targets: What the loss compares with, of these.
        """
        del outputs, targets
        return 0.0

    def in_units(self, outputs: Tensor) -> Tensor:
        """Return outputs in the unit of the targets; those of labels stay logits."""
        return outputs

    def score_sums(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return sums of scores over a batch: of training, or of the recurrent part alone."""
        del outputs, targets
        return {}
