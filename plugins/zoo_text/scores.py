"""Which score of an answer is explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from zoo.errors import UsageError, listed
from zoo_text.network import TextNetwork

if TYPE_CHECKING:
    from zoo_text.task import TextTask


class Score(NamedTuple):
    """A score as a linear function of an output: ``scale * outputs[column] + shift``.

    Args:
        label: Whose score it is; empty for a number.
    """

    label: str
    column: int
    scale: float
    shift: float


def check_target(labels: Sequence[str] | None, target: str) -> None:
    """Refuse a label that is not among those of the training (None: there are none)."""
    if target and labels is None:
        raise UsageError(
            f"no label {target!r}", why="the model predicts a number", fix="leave the target out"
        )
    if target and labels is not None and target not in labels:
        raise UsageError(f"no label {target!r}", fix=f"labels are {listed(labels)}")


def choose_scores(
    task: TextTask, network: TextNetwork, outputs: Tensor, target: str
) -> list[Score]:
    """Return what is explained of each text: of a label its logit, or the number.

    Of two labels the logit is that of the label against the other one. Where no label is given, it
    is the predicted one; of several the likeliest.
    """
    labels = task.known_labels()
    if labels is None:
        low, high = task.in_units(torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist()
        return [Score("", 0, high - low, low)] * len(outputs)
    if target:
        names = [target] * len(outputs)
    elif task.num_outputs < len(labels):
        names = task.answers(network, outputs)
    else:
        names = [labels[best] for best in outputs.argmax(1).tolist()]
    if task.num_outputs < len(labels):  # Two labels have one output: that of the second.
        return [Score(name, 0, 1.0 if name == labels[1] else -1.0, 0.0) for name in names]
    return [Score(name, labels.index(name), 1.0, 0.0) for name in names]
