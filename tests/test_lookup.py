"""Texts to token ids: the fast ways against a regular expression and a dict."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from zoo_text import lookup
from zoo_text.lookup import Lookup
from zoo_text.tokens import spaced, tokenize

UNKNOWN = 1
LETTERS = "abcdeéß中"
# Edge cases: tags, emoticons, upper and lower case, characters beyond ASCII.
PIECES = [
    *" \n\t\x00\x1c\x85\xa0\u2028aBdDpPéÉİ\u0131Σ\u03c3ß9_-:;=()<>/'",
    *("<br />", "<br>", " :)", ":-D", " =P", "中", "\U0001f600", "\ud800", "\u0301"),
]


def tokenize_by_definition(text: str) -> list[str]:
    """Return the words of a text by the definition."""
    text = re.sub(r"<[^>]*>", " ", text).lower()
    found = re.findall(r"[:;=]-?[()dp](?!\w)|\w+", text)
    return [word.replace("-", "") if word[0] in ":;=" else word for word in found]


def test_words_are_those_of_the_definition_whatever_the_text() -> None:
    draw = random.Random(5)
    for _ in range(30_000):
        text = "".join(draw.choices(PIECES, k=draw.randint(0, 14)))
        assert tokenize(text) == tokenize_by_definition(text), ascii(text)


@pytest.fixture(scope="module")
def vocabulary() -> list[str]:
    """Return words of 1 to 60 bytes, many of which begin alike."""
    draw = random.Random(6)
    words = {"".join(draw.choices(LETTERS, k=draw.choice([1, 2, 4, 8, 9, 16, 17, 30])))
             for _ in range(3000)}  # fmt: skip
    words |= {word[:length] for word in words for length in (7, 8, 15, 16)}
    return ["<pad>", "<unk>", *sorted(words)]


@pytest.fixture(scope="module")
def texts(vocabulary: list[str]) -> list[str]:
    draw = random.Random(7)
    others = [word + "x" for word in vocabulary[2:500]] + ["y"]
    rows = [draw.choices(vocabulary[2:] + others, k=draw.randint(0, 40)) for _ in range(300)]
    return ["", *map(" ".join, rows), "", ""]


def test_token_ids_are_those_of_a_dictionary(vocabulary: list[str], texts: list[str]) -> None:
    token_id = {word: index for index, word in enumerate(vocabulary)}
    values, lengths = Lookup(vocabulary, UNKNOWN).token_ids([spaced(text) for text in texts])
    assert lengths.tolist() == [len(text.split()) for text in texts]
    assert values.tolist() == [token_id.get(w, UNKNOWN) for text in texts for w in text.split()]


def test_words_with_the_same_hash_are_told_apart(
    vocabulary: list[str], texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = vocabulary[:300]
    encoded = [spaced(text) for text in texts]
    expected = Lookup(some, UNKNOWN).token_ids(encoded)
    monkeypatch.setattr(lookup, "_FACTORS", np.zeros(2, dtype=np.uint64))
    for found, right in zip(Lookup(some, UNKNOWN).token_ids(encoded), expected, strict=True):
        assert np.array_equal(found, right)


@pytest.mark.parametrize("words", [[], ["a\0"], ["", " ", "a b"]])
def test_vocabulary_words_that_no_text_can_contain_are_never_found(words: list[str]) -> None:
    values, lengths = Lookup(words, UNKNOWN).token_ids([b"a b", b""])
    assert values.tolist() == [UNKNOWN, UNKNOWN]
    assert lengths.tolist() == [2, 0]
