"""Classes of any type, and the labels that stand for them in a weights file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import UsageError
from zoo.interfaces import LabelPrediction
from zoo.trained import TrainedModel

# What a table would take for a missing label.
_MISSING = frozenset({"", "nan", "null", "n/a", "#n/a", "<na>"})


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a classifier.

    Args:
        values: The K classes, sorted, in the dtype of y.
        labels: What the weights file calls each.
        several: Whether a text has any number of them.
    """

    values: npt.NDArray[Any]
    labels: tuple[str, ...]
    several: bool

    @classmethod
    def of(cls, values: npt.NDArray[Any], *, several: bool, names: Sequence[Any] = ()) -> Classes:
        """Return classes whose labels are their values as text; or names, where there are any."""
        plain = list(names) or values.tolist()
        labels = [str(value) for value in plain]
        unfit = any(label != label.strip() or label.lower() in _MISSING for label in labels)
        if unfit or len(set(labels)) < len(labels):
            labels = [repr(value) for value in plain]
        return cls(values, tuple(labels), several)

    def to_json(self) -> dict[str, Any]:
        """Return what a header stores."""
        return {
            "classes": self.values.tolist(),
            "dtype": self.values.dtype.str,
            "labels": list(self.labels),
        }

    @classmethod
    def of_model(cls, trained: TrainedModel, stored: Mapping[str, Any] | None) -> Classes:
        """Return the classes of a trained model.

        Args:
            trained: The model.
            stored: What :meth:`to_json` returned; None: the classes are the labels of the model.

        Raises:
            UsageError: It does not predict labels with their probabilities.
        """
        answer: Any = next(trained.predict(["text"])) if trained.predicts else None
        several = not isinstance(answer, LabelPrediction)
        if not getattr(answer, "scores", None) or (several and not hasattr(answer, "labels")):
            raise UsageError(
                f"{trained.name!r} does not answer with labels and their probabilities",
                why=f"its task is {trained.spec.task.info.name!r}",
                fix="load it with zoo.load",
            )
        if stored is None:
            labels = tuple(answer.scores)
            return cls(np.array(labels), labels, several)
        values = np.array(stored["classes"], dtype=np.dtype(stored["dtype"]))
        return cls(values, tuple(stored["labels"]), several)
