"""Outcomes: what a network says of every example of a split, beside what is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import nn

from zoo.interfaces.data import Split


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a network says of M examples, in the order of the split.

    Args:
        kind: ``labels``: one label each; ``label-sets``: any number of labels each; ``numbers``;
            ``tokens``: the next token of a sequence, one example each.
        names: Names of the K labels; empty for numbers and tokens.
        targets: (M,) label numbers or token ids; (M, K) booleans for label sets; (M,) numbers.
        scores: (M, K) probabilities, as they are predicted; (M,) predicted numbers; None for
            tokens.
        losses: (M,) losses, in nats where the task's loss is a likelihood.
        texts: The M texts; empty where there are none.
    """

    kind: str
    names: Sequence[str]
    targets: npt.NDArray[Any]
    scores: npt.NDArray[np.float64] | None
    losses: npt.NDArray[np.float64]
    texts: Sequence[str] = ()


@runtime_checkable
class ScoresExamples(Protocol):
    """A task that gives every example of a split its outcome."""

    def outcomes(self, network: nn.Module, split: Split) -> Outcomes:
        """Return what the network, in evaluation mode, says of a split that the task prepared.

        Args:
            network: The network.
            split: The split.
        """
        ...
