"""Texts whose pieces are coloured by a value, as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from zoo.errors import printable
from zoo.interfaces import Explanation, Piece

LONGEST = 600
"""Characters of a text that are shown."""

# Pieces that say less than this share of the strongest one are left plain.
_FAINT = 0.03


def explained(text: str, explanation: Explanation | None) -> Markup:
    """Return a text, cut to where its strongest pieces are, with the pieces coloured."""
    if explanation is None or not explanation.pieces:
        return _cut(text, 0, min(len(text), LONGEST), ())
    start, end = _strongest(text, explanation.pieces)
    return _cut(text, start, end, explanation.pieces)


def visible(text: str) -> str:
    """Return a text of the same length without characters that a page would obey."""
    return "".join(
        each if printable(each, keep="\n\t") == each else "\N{REPLACEMENT CHARACTER}"
        for each in text
    )


def surprise(text: str, bits: Sequence[float], highest: float = 8.0) -> Markup:
    """Return a text with each character coloured by its bits, up to ``highest``."""
    parts = []
    for character, value in zip(visible(text), bits, strict=True):
        strength = min(value / highest, 1.0)
        if strength < 0.1 or character.isspace():
            parts.append(escape(character))
        else:
            parts.append(_span(character, "against", strength, f"{value:.1f} bits"))
    return Markup("").join(parts)


def _strongest(text: str, pieces: Sequence[Piece]) -> tuple[int, int]:
    """Return the part of a text, of so many characters, whose pieces have the largest values."""
    if len(text) <= LONGEST:
        return 0, len(text)
    best, total, first = (0.0, 0), 0.0, 0
    for piece in pieces:
        total += abs(piece.value)
        while piece.end - pieces[first].start > LONGEST:
            total -= abs(pieces[first].value)
            first += 1
            if first == len(pieces):
                return 0, LONGEST
        if total > best[0]:
            best = total, pieces[first].start
    start = min(best[1], len(text) - LONGEST)
    return start, start + LONGEST


def _cut(text: str, start: int, end: int, pieces: Sequence[Piece]) -> Markup:
    strongest = max((abs(piece.value) for piece in pieces), default=0.0)
    parts = [Markup("…")] if start else []
    at = start
    for piece in pieces:
        if piece.start < at or piece.end > end:
            continue
        parts.append(escape(visible(text[at : piece.start])))
        word, strength = (
            visible(text[piece.start : piece.end]),
            abs(piece.value) / (strongest or 1.0),
        )
        if strength < _FAINT:
            parts.append(escape(word))
        else:
            kind = "supports" if piece.value > 0 else "against"
            parts.append(_span(word, kind, strength, f"{piece.value:+.3f}"))
        at = piece.end
    parts.append(escape(visible(text[at:end])))
    if end < len(text):
        parts.append(Markup("…"))
    return Markup("").join(parts)


def _span(text: str, kind: str, strength: float, title: str) -> Markup:
    return Markup('<span class="{}" style="--s:{:.2f}" title="{}">{}</span>').format(
        kind, strength, title, text
    )
