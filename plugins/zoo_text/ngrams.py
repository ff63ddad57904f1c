"""N-grams of words and of characters, hashed to 64 bits: the features of the linear model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from zoo_text.hashing import GOLDEN

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

_WORD = re.compile(r"\w+|[^\w\s]")
# Multiplier of the rolling hash. Overflow is the modulus.
_FACTOR = np.uint64(GOLDEN)
_START, _END = "\x02", "\x03"


def hash_text(text: str) -> int:
    """Return 64 bits of a digest of a string, as a signed integer."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each n-gram occurs in each of M texts.

    Args:
        keys: (N,) hashes of n-grams; distinct within a text, sorted by text.
        counts: (N,) occurrences.
        texts: (N,) the text of each.
        num_texts: M.
    """

    keys: IntArray
    counts: IntArray
    texts: IntArray
    num_texts: int


@dataclass(frozen=True, slots=True)
class Located:
    """The n-grams of one text, wherever they occur.

    Args:
        keys: (N,) their hashes, as those of :class:`Counts`.
        starts: (N,) the first unit of each: a word or a character.
        sizes: (N,) how many units each has.
        spans: (U, 2) start and end of each unit in the text; (0, 0) for the characters that mark
            its start and end.
    """

    keys: IntArray
    starts: IntArray
    sizes: IntArray
    spans: IntArray


def word_ngrams(texts: Sequence[str], longest: int) -> Counts:
    """Count the n-grams of 1 to ``longest`` words, in lower case; a punctuation mark is a word."""
    known: dict[str, int] = {}
    rows: list[list[int]] = []
    for text in texts:
        words = _WORD.findall(text.lower())
        for word in words:
            if word not in known:
                known[word] = hash_text(word)
        rows.append([known[word] for word in words])
    return _count(_concatenate(rows), np.array([len(row) for row in rows], np.int64), longest)


def character_ngrams(texts: Sequence[str], longest: int) -> Counts:
    """Count the n-grams of 1 to ``longest`` characters, in lower case, over word boundaries.

    White space is one space; start and end of the text are characters of their own.
    """
    marked = [_marked(text.lower()) for text in texts]
    lengths = np.fromiter(map(len, marked), np.int64, len(marked))
    return _count(_codes("".join(marked)), lengths, longest)


def locate_words(text: str, longest: int) -> Located:
    """Return the n-grams of :func:`word_ngrams` of a text, wherever they occur."""
    origins = lowered_origins(text)
    found = list(_WORD.finditer(text.lower()))
    spans = [(origins[match.start()], origins[match.end() - 1] + 1) for match in found]
    units = np.array([hash_text(match[0]) for match in found], np.int64)
    return _locate(units, spans, longest)


def locate_characters(text: str, longest: int) -> Located:
    """Return the n-grams of :func:`character_ngrams` of a text, wherever they occur."""
    origins, lowered = lowered_origins(text), text.lower()
    index: list[int] = []
    end = 0
    for word in re.finditer(r"\S+", lowered):
        if index:
            index.append(end)  # The first character of the white space.
        index += range(*word.span())
        end = word.end()
    inner = [(origins[at], origins[at] + 1) for at in index]
    return _locate(_codes(_marked(lowered)), [(0, 0), *inner, (0, 0)], longest)


def lowered_origins(text: str) -> IntArray:
    """Return which character of a text each one of ``text.lower()`` is made of."""
    index: IntArray = np.arange(len(text))
    if len(text.lower()) == len(text):
        return index
    return np.repeat(index, [len(character.lower()) for character in text])


def _marked(lowered: str) -> str:
    return f"{_START}{' '.join(lowered.split())}{_END}"


def _codes(text: str) -> IntArray:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return codes.astype(np.int64)


def _concatenate(rows: list[list[int]]) -> IntArray:
    return np.array([value for row in rows for value in row], np.int64)


def _count(units: IntArray, lengths: IntArray, longest: int) -> Counts:
    """Count the n-grams of the units of M texts.

    Args:
        units: (N,) words or characters, as integers; text after text.
        lengths: (M,) how many each text has.
        longest: Units of the longest n-gram.
    """
    text = np.repeat(np.arange(len(lengths)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(units))
    keys, texts = [], []
    for size, rolling in _rolling_hashes(units, longest):
        whole = left[: len(rolling)] >= size
        keys.append(rolling[whole])
        texts.append(text[: len(rolling)][whole])
    return _distinct(np.concatenate(keys), np.concatenate(texts), len(lengths))


def _locate(units: IntArray, spans: Sequence[tuple[int, int]], longest: int) -> Located:
    """Return the n-grams of the U units of one text, which are at ``spans``."""
    found = list(_rolling_hashes(units, longest))
    return Located(
        np.concatenate([keys for _, keys in found]),
        np.concatenate([np.arange(len(keys)) for _, keys in found]),
        np.concatenate([np.full(len(keys), size) for size, keys in found]),
        np.array(spans, np.int64).reshape(-1, 2),
    )


def _rolling_hashes(units: IntArray, longest: int) -> Iterator[tuple[int, IntArray]]:
    """Yield each size of n-gram, and the hashes of those that begin at each unit."""
    values = units.astype(np.uint64)
    rolling = np.zeros(len(units), np.uint64)
    for size in range(1, longest + 1):
        rolling = rolling[: len(units) - size + 1]
        rolling = (rolling ^ (values[size - 1 :] + np.uint64(size))) * _FACTOR
        rolling ^= rolling >> np.uint64(29)
        yield size, rolling.view(np.int64)
        if len(rolling) == 0:
            break


def _distinct(keys: IntArray, texts: IntArray, num_texts: int) -> Counts:
    order = _order(keys, texts, num_texts)
    keys, texts = keys[order], texts[order]
    first = np.ones(len(keys), bool)
    first[1:] = (keys[1:] != keys[:-1]) | (texts[1:] != texts[:-1])
    at = np.flatnonzero(first)
    counts = np.diff(at, append=len(keys))
    return Counts(keys[at], counts, texts[at], num_texts)


def _order(keys: IntArray, texts: IntArray, num_texts: int) -> IntArray:
    """Return the order by text and key.

    One number of both is sorted, which takes a third of the time: the text, and as many of the
    highest bits of the key as there is room for.
    """
    bits = num_texts.bit_length()
    both = (texts << (63 - bits)) | ((keys >> (bits + 1)) + (1 << (62 - bits)))
    order: IntArray = np.argsort(both)
    ranked, found = both[order], keys[order]
    if ((ranked[1:] == ranked[:-1]) & (found[1:] != found[:-1])).any():  # Next to never.
        order = np.lexsort((keys, texts))
    return order
