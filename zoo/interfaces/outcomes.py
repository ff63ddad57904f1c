"""Outcomes: what a network says of every example of a split, beside what is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from zoo.interfaces.data import Split

if TYPE_CHECKING:
    from torch import nn


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
        decisions: (M,) label numbers that are predicted; (M, K) booleans for label sets. None: the
            likeliest label, or those of a probability above one half.
        temperature: What the logits were divided by before they became ``scores``.
    """

    kind: str
    names: Sequence[str]
    targets: npt.NDArray[Any]
    scores: npt.NDArray[np.float64] | None
    losses: npt.NDArray[np.float64]
    texts: Sequence[str] = ()
    decisions: npt.NDArray[Any] | None = None
    temperature: float = 1.0

    @property
    def predicted(self) -> npt.NDArray[Any]:
        """What is predicted, in the form of ``targets``.

        Raises:
            ValueError: They are outcomes of tokens, of which only the losses are known.
        """
        if self.scores is None:
            raise ValueError("outcomes of tokens have no predictions")
        if self.decisions is not None:
            return self.decisions
        if self.kind == "labels":
            return np.asarray(self.scores.argmax(1))
        return self.scores > 0.5 if self.kind == "label-sets" else self.scores


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
