"""Explanations: what each piece of a text adds to an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text, such as a word.

    Args:
        start: Where it begins, in characters of the text.
        end: Where it ends.
        value: What it adds to the score.
    """

    start: int
    end: int
    value: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """A score, as a sum over the pieces of a text.

    ``base`` and the values of the pieces add up to ``score``, up to ``error``.

    Args:
        text: The text.
        target: Whose score it is: a label; empty where there is only one, such as a number.
        score: The score, in ``unit``.
        base: The score of a text of which nothing is known.
        unit: ``logit``, ``nats``, or that of a predicted number.
        pieces: The pieces, in order; characters between them add nothing.
        method: What was computed, in words.
    """

    text: str
    target: str
    score: float
    base: float
    unit: str
    pieces: tuple[Piece, ...]
    method: str

    @property
    def error(self) -> float:
        """By how much ``base`` and the values miss the score."""
        return self.score - self.base - sum(piece.value for piece in self.pieces)


@runtime_checkable
class Explains(Protocol):
    """A task that says what each piece of a text adds to an answer."""

    def explain(
        self, network: nn.Module, texts: Sequence[str], target: str
    ) -> Iterable[Explanation]:
        """Explain the answers to up to a thousand texts, in order.

        Args:
            network: The network, in evaluation mode.
            texts: The texts.
            target: The label whose score is explained; empty: the one that is predicted.

        Raises:
            zoo.errors.UsageError: There is no such label.
        """
        ...
