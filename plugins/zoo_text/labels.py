"""What the tasks of labels share: the labels, and how many training texts have each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from zoo.errors import DataError, listed
from zoo_text.learned import read_labels
from zoo_text.network import TextNetwork
from zoo_text.options import ClassificationOptions
from zoo_text.task import TextTask


class LabelTask(TextTask):
    """A text in, one or several labels out.

    Args:
        options: See ``zoo show text-classification``.

    Attributes:
        labels: The labels of the training.
        shares: Share of the training texts that have each.
        several: Whether a text may have several labels.
    """

    several: ClassVar[bool] = False

    options: ClassificationOptions

    def __init__(self, options: ClassificationOptions) -> None:
        super().__init__(options)
        self.labels: list[str] = []
        self.shares: list[float] = []

    def known_labels(self) -> list[str]:
        return self.labels

    @property
    def smoothing(self) -> float:
        return self.options.label_smoothing

    def initialise(self, network: TextNetwork) -> None:
        if self.options.class_weight == "none":
            super().initialise(network)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "labels": self.labels, "shares": self.shares}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.labels, self.shares = read_labels(state, several=self.several)


def check_labels(labels: Sequence[str], known: Sequence[str]) -> None:
    """Refuse labels that the training did not have.

    Raises:
        DataError: There is one.
    """
    for label in labels:
        if label not in known:
            raise DataError(
                f"label {label!r} is not among those of the training",
                why=f"they are {listed(known)}",
            )
