"""Words: how a text is cut into them, and the features by which an unknown one is known."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator
from itertools import groupby

NUM_FEATURES = 8


def split_words(text: str) -> list[tuple[int, int]]:
    """Return start and end, in characters, of each word of a text.

    Words are separated by blanks; punctuation at either end of one is a word by itself, but for the
    period of an abbreviation with others inside, such as 'U.S.'.
    """
    return [place for chunk in re.finditer(r"\S+", text) for place in _split(text, *chunk.span())]


def _split(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and _is_punctuation(text[start]):
        yield start, start + 1
        start += 1
    last = end
    if not re.fullmatch(r"(\w\.)+", text[start:end]):
        while last > start and _is_punctuation(text[last - 1]):
            last -= 1
    if start < last:
        yield start, last
    yield from ((place, place + 1) for place in range(last, end))


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith(("P", "S"))


def shape(word: str) -> str:
    """Return the kinds of a word's characters, runs as one: 'Xx' of 'Anna', 'd-d' of '3-1'."""
    return "".join(kind for kind, _ in groupby(map(_kind, word)))


def _kind(character: str) -> str:
    if character.isdigit():
        return "d"
    if not character.isalpha():
        return character
    return "X" if character.isupper() else "x"


def hash_features(word: str, buckets: int) -> list[int]:
    """Return NUM_FEATURES numbers below ``buckets``: of the shape, of prefixes and suffixes.

    Words that are written alike share some of them. Different features may have the same number
    (feature hashing: K. Weinberger et al., ICML 2009); nothing has to be stored.
    """
    lower = word.lower()
    features = [
        f"shape {shape(word)}",
        *(f"prefix{n} {lower[:n]}" for n in (1, 2, 3)),
        *(f"suffix{n} {lower[-n:]}" for n in (1, 2, 3, 4)),
    ]
    return [zlib.crc32(f.encode("utf-8", "surrogatepass")) % buckets for f in features]
