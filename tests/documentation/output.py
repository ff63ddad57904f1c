"""The output of a command as a page shows it, compared with the real one.

A shown line ``...`` stands for any lines, and ``…`` within a line for any text. Times, rates,
sizes, versions, digests and dated folders are not compared; other numbers agree within 2 % or 0.02.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

LINES, TEXT = "...", "…"
Token = str | float
T = TypeVar("T")

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?"
_UNIT = r"(?:h|min|s|ms|µs|ns|[kKMG]i?B)\b|\S*/s\b"
_TOKEN = re.compile(
    rf"""(?P<date>\d{{4}}-?\d\d-?\d\d[-T_ ]\d\d[-:]?\d\d[-:\w]*)
    | (?P<version>\b\d+\.\d+\.\d+[\w.+]*)
    | (?P<digest>\b(?=[0-9a-f]*[a-f])(?=[a-f]*\d)[0-9a-f]{{8,64}}\b)
    | (?P<measured>{_NUMBER}(?=[ ]?(?:{_UNIT})))
    | (?P<number>{_NUMBER})
    | (?P<space>\s+)
    | (?P<text>.)""",
    re.VERBOSE,
)


def agree(shown: Sequence[str], found: Sequence[str]) -> bool:
    """Return whether the lines of an output are those that a page shows."""
    return _align(shown, found, LINES, _lines_agree) is not None


def refresh(shown: Sequence[str], found: Sequence[str]) -> list[str]:
    """Return the lines to show: those that agree stay, others become the real ones.

    ``...`` and ``…`` are kept where the output has the same form but for its numbers; all of
    the output is returned otherwise.
    """
    places = _align(shown, found, LINES, _lines_agree) or _align(shown, found, LINES, _same_form)
    if places is None:
        return list(found)
    return [
        line if line == LINES or _lines_agree(line, found[place]) else found[place]
        for line, place in zip(shown, places, strict=True)
    ]


def _align(
    shown: Sequence[T], found: Sequence[T], gap: T, agree: Callable[[T, T], bool]
) -> list[int] | None:
    """Return where each of ``shown`` is among ``found``; None where they disagree.

    ``gap`` stands for any number of elements, as ``*`` does in the name of a file.
    """
    places: list[int] = []
    position = 0
    last_gap = -1
    while len(places) < len(shown) or position < len(found):
        n = len(places)
        if n < len(shown) and shown[n] == gap:
            last_gap = n
            places.append(position)
        elif n < len(shown) and position < len(found) and agree(shown[n], found[position]):
            places.append(position)
            position += 1
        elif last_gap >= 0 and places[last_gap] < len(found):
            position = places[last_gap] + 1
            places[last_gap:] = [position]
        else:
            return None
    return places


def _tokens(line: str) -> list[Token]:
    """Split into numbers, names of what is not compared, spaces and characters."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(line.rstrip()):
        kind, text = str(match.lastgroup), match.group()
        if kind == "number":
            tokens.append(float(text.replace(",", "")))
        else:
            tokens.append({"text": text, "space": " "}.get(kind, kind))
    return tokens


def _lines_agree(shown: str, found: str) -> bool:
    def same(a: Token, b: Token) -> bool:
        if isinstance(a, float) and isinstance(b, float):
            return math.isclose(a, b, rel_tol=0.02, abs_tol=0.02)
        return a == b

    return _align(_tokens(shown), _tokens(found), TEXT, same) is not None


def _same_form(shown: str, found: str) -> bool:
    def same(a: Token, b: Token) -> bool:
        return a == b or (isinstance(a, float) and isinstance(b, float))

    return _align(_tokens(shown), _tokens(found), TEXT, same) is not None
