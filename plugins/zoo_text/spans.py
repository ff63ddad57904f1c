"""Where the tokens of a text are in the text as it was written."""

from __future__ import annotations

import numpy as np

from zoo_text import subwords, tokens
from zoo_text.ngrams import IntArray, locate_words

Span = tuple[int, int]
"""Start and end of a part of a text, in characters."""

_SPANS = {
    "words": tokens.token_spans,
    "subwords": subwords.word_spans,
    "characters": subwords.character_spans,
}


class Pieces:
    """The parts of a text that an explanation tells apart: its tokens.

    Args:
        text: The text.
        kind: What a token is: ``words``, ``subwords`` or ``characters``.
        with_marks: Whether what is in no token, such as punctuation with tokens=words, is a piece
            of its own. The linear model of n-grams reads it.

    Attributes:
        spans: The P pieces, in order.
        tokens: (N,) the piece of each token.
        owner: The piece of each character of the text; -1: it is in none.
    """

    def __init__(self, text: str, kind: str, *, with_marks: bool) -> None:
        found: list[Span] = _SPANS[kind](text)
        taken = np.zeros(len(text), bool)
        for start, end in found:
            taken[start:end] = True
        marks: list[Span] = []
        if with_marks:
            spans = locate_words(text, 1).spans.tolist()
            marks = [(start, end) for start, end in spans if not taken[start:end].any()]
        # Stable: a token without characters of its own stays behind the one before it.
        order = sorted(range(len(found) + len(marks)), key=lambda at: (*found, *marks)[at][0])
        self.spans = [(*found, *marks)[at] for at in order]
        place: IntArray = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        self.tokens = place[: len(found)]
        self.owner: IntArray = np.full(len(text), -1)
        for piece, (start, end) in enumerate(self.spans):
            self.owner[start:end] = piece
