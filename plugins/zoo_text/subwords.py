"""Vectors of words that are sums of vectors of their parts, so that unseen words have one, too.

The parts ("units") of a word are the word in lower case, the word as it is written, and its
n-grams of 3 to 5 characters with the word's ends marked (P. Bojanowski et al., arXiv:1607.04606).
Where a step is a character, they are the character, alone and with its neighbours. No torch here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from zoo_text.ngrams import IntArray, hash_text

# A word, an emoticon or another character that is not white space.
_TOKEN = re.compile(r"[:;=]-?[()dpDP](?!\w)|\w+(?:['\u2019]\w+)*|[^\w\s]")
_DIGIT = re.compile(r"\d")
_NGRAMS = range(3, 6)
_START, _END = "\x02", "\x03"


def words(text: str) -> list[str]:
    """Return words, emoticons and punctuation marks, as they are written.

    >>> words("It's GREAT :-) 10/10")
    ["It's", 'GREAT', ':-)', '10', '/', '10']
    """
    return _TOKEN.findall(text)


def characters(text: str) -> list[str]:
    """Return each character with its neighbours; white space is one space.

    >>> characters("ab")
    ['\\x02ab', 'ab\\x03']
    """
    marked = f"{_START}{' '.join(text.split())}{_END}"
    return [marked[i - 1 : i + 2] for i in range(1, len(marked) - 1)]


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return where the tokens of :func:`words` are in a text: start and end, in characters."""
    return [match.span() for match in _TOKEN.finditer(text)]


def character_spans(text: str) -> list[tuple[int, int]]:
    """Return where the characters of :func:`characters` are; white space between words is one."""
    spans: list[tuple[int, int]] = []
    for word in re.finditer(r"\S+", text):
        if spans:
            spans.append((spans[-1][1], word.start()))
        spans += [(at, at + 1) for at in range(*word.span())]
    return spans


def word_units(word: str) -> list[str]:
    """Return the units of a word; digits are all the same."""
    if not word:
        return []
    masked = _DIGIT.sub("0", word)
    marked = f"<{masked.lower()}>"
    units = [f"word {masked.lower()}", f"case {masked}"]
    for size in _NGRAMS:
        units += [marked[i : i + size] for i in range(len(marked) - size + 1)]
    return units


def character_units(token: str) -> list[str]:
    """Return the units of a character with its neighbours."""
    if not token:
        return []
    character = token[1]
    return [character, f"{token[:2]} ", f" {token[1:]}", token]


@dataclass(frozen=True, slots=True)
class Types:
    """The distinct tokens of some texts, each with the hashes of its units.

    Args:
        units: (N,) hashes, token after token.
        starts: (U + 1,) where each token's units start; the last is N.
    """

    units: IntArray
    starts: IntArray

    @classmethod
    def of(cls, tokens: Iterable[str], kind: str) -> Types:
        """Return the units of distinct tokens: ``subwords`` or ``characters``."""
        split = word_units if kind == "subwords" else character_units
        hashes: dict[str, int] = {}
        rows: list[list[int]] = []
        for token in tokens:
            row = []
            for unit in split(token):
                if unit not in hashes:
                    hashes[unit] = hash_text(unit)
                row.append(hashes[unit])
            rows.append(row)
        starts = np.cumsum([0, *map(len, rows)])
        return cls(np.array([unit for row in rows for unit in row], np.int64), starts)

    def distinct(self, token_ids: IntArray) -> tuple[IntArray, Types]:
        """Return token ids (...) as indexes of the tokens that occur, and these tokens."""
        present, index = np.unique(token_ids, return_inverse=True)
        return index.reshape(token_ids.shape), self.select(present)

    def select(self, chosen: IntArray) -> Types:
        """Return some of the tokens."""
        lengths = self.starts[chosen + 1] - self.starts[chosen]
        starts = np.cumsum(np.append(0, lengths))
        index = np.repeat(self.starts[chosen] - starts[:-1], lengths) + np.arange(starts[-1])
        return Types(self.units[index], starts)


def index_tokens(
    texts: Sequence[str], kind: str, types: dict[str, int]
) -> tuple[list[IntArray], dict[str, int]]:
    """Return the index of each token of each text, adding new tokens to ``types``."""
    split = words if kind == "subwords" else characters
    rows = [
        np.array([types.setdefault(token, len(types)) for token in split(text)], np.int64)
        for text in texts
    ]
    return rows, types


def choose_units(types: Types, counts: IntArray, max_units: int) -> IntArray:
    """Return the hashes, sorted, of the commonest units that occur at least twice.

    Args:
        types: The tokens of a training split.
        counts: (U,) how often each occurs.
        max_units: Largest number of units.
    """
    occurrences = np.repeat(counts, np.diff(types.starts))
    keys, inverse = np.unique(types.units, return_inverse=True)
    total = np.bincount(inverse, occurrences, len(keys))
    common = np.argsort(-total, kind="stable")[:max_units]
    return np.sort(keys[common[total[common] >= 2]])
