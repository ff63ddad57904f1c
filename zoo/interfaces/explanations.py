"""Explanations: what each piece of a text adds to an answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from zoo.errors import printable
from zoo.interfaces import explanation_html

if TYPE_CHECKING:
    from torch import nn

SHOWN_PIECES, SHOWN_SHARE = 10, 0.1
"""As text, at most so many pieces have their value beside them, and none that is weaker than this
share of the strongest one."""


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

    @property
    def strongest_value(self) -> float:
        """The largest absolute value of a piece; 0 without pieces."""
        return max((abs(piece.value) for piece in self.pieces), default=0.0)

    def strongest(self, count: int = 10) -> list[Piece]:
        """Return the pieces with the largest absolute values, the largest first.

        Args:
            count: How many at most.
        """
        return sorted(self.pieces, key=lambda piece: -abs(piece.value))[:count]

    @property
    def piece_name(self) -> str:
        """What a piece is: ``character`` where all have the length of one, else ``word``."""
        single = all(piece.end - piece.start == 1 for piece in self.pieces)
        return "character" if self.unit == "nats" and single else "word"

    def headline(self) -> str:
        """Return whose score it is, and what it is made of, in a line."""
        if self.unit == "nats":
            each = self.score / math.log(2) / max(len(self.pieces), 1)
            piece = self.piece_name
            return (
                f"{self.score:.2f} nats in {len(self.pieces):,} {piece}s, {each:.2f} bits a {piece}"
            )
        words = sum(piece.value for piece in self.pieces)
        name = printable(f"{self.target}: {self.unit}" if self.target else self.unit)
        score, base, added = (self.format(value) for value in (self.score, self.base, words))
        return f"{name} {score} = base {base} + words {added}"

    def format(self, value: float) -> str:
        """Return a value as text: signed, with as many decimals as the values here need.

        Args:
            value: One of the explanation.
        """
        largest = self.strongest_value or abs(self.score)
        decimals = 2
        if 0 < largest < 1:
            decimals = min(1 - math.floor(math.log10(largest)), 6)
        elif largest >= 1000:
            decimals = 0
        sign = "" if self.unit == "nats" else "+"
        return f"{round(value, decimals) + 0.0:{sign},.{decimals}f}"  # Not -0.00.

    def segments(self, keep: str = "") -> list[tuple[str, Piece | None]]:
        """Return the text in parts, each with its piece, or None for what is between pieces.

        In the parts nothing is left that a terminal or a browser would obey: white space is a
        space; control characters, those that turn the direction of writing, and halves of
        surrogate pairs are U+FFFD.

        Args:
            keep: Characters that stay as they are, such as line ends.
        """
        text = "".join(each if each in keep else _visible(each) for each in self.text)
        parts: list[tuple[str, Piece | None]] = []
        end = 0
        for piece in self.pieces:
            parts += [(text[end : piece.start], None), (text[piece.start : piece.end], piece)]
            end = piece.end
        parts.append((text[end:], None))
        return [(part, piece) for part, piece in parts if part]

    def __str__(self) -> str:
        """Return the headline, and the text with values beside its strongest pieces."""
        least = SHOWN_SHARE * self.strongest_value
        shown = {id(p) for p in self.strongest(SHOWN_PIECES) if abs(p.value) >= least > 0}
        words = "".join(
            f"{text}[{self.format(piece.value)}]" if piece and id(piece) in shown else text
            for text, piece in self.segments()
        )
        return f"{self.headline()}\n  {words}"

    def to_html(self) -> str:
        """Return the text as HTML, coloured by the values; it needs no style sheet."""
        return explanation_html.to_html(self)

    def _repr_html_(self) -> str:
        return self.to_html()


class Explanations(list[Explanation]):
    """A list of explanations that shows itself in a notebook.

    Args:
        iterable: The explanations.
    """

    def to_html(self) -> str:
        """Return all of them as HTML, one after another."""
        return "".join(explanation.to_html() for explanation in self)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __str__(self) -> str:
        return "\n".join(map(str, self))


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    return "\N{REPLACEMENT CHARACTER}" if printable(character) != character else character


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
