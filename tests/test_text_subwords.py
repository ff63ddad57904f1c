"""Vectors of words that are sums of vectors of their parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo_text.embedding import SubwordEmbedding
from zoo_text.ngrams import hash_text
from zoo_text.subwords import (
    Types,
    character_units,
    characters,
    choose_units,
    word_units,
    words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's GREAT :-) 10/10", ["It's", "GREAT", ":-)", "10", "/", "10"]),
        ("don’t 🙂!", ["don’t", "🙂", "!"]),  # noqa: RUF001
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_characters_have_their_neighbours() -> None:
    assert characters("很 好") == ["\x02很 ", "很 好", " 好\x03"]
    assert character_units("很 好") == [" ", "很  ", "  好", "很 好"]


def test_units_of_a_word() -> None:
    assert word_units("Cat7") == [
        "word cat0", "case Cat0", "<ca", "cat", "at0", "t0>", "<cat", "cat0", "at0>", "<cat0",
        "cat0>",
    ]  # fmt: skip


def embedding(*units: str) -> SubwordEmbedding:
    module = SubwordEmbedding(len(units), 3)
    keys = sorted(map(hash_text, units))
    module.keys.copy_(torch.tensor(keys))
    module.weight.data[:-1] = torch.arange(3.0 * len(units)).view(-1, 3) + 1
    return module


def test_a_vector_is_the_sum_of_the_rows_of_the_known_units() -> None:
    module = embedding("<ca", "cat", "other")
    row = {int(key): module.weight[i].detach() for i, key in enumerate(module.keys)}
    types = Types.of(["cat", "scatter", "dog"], "subwords")
    vectors = module(torch.from_numpy(types.units), torch.from_numpy(types.starts)).detach()
    ca, cat = row[hash_text("<ca")], row[hash_text("cat")]
    torch.testing.assert_close(vectors, torch.stack([ca + cat, cat, torch.zeros(3)]))
    known = module.known(torch.from_numpy(types.units), torch.from_numpy(types.starts))
    assert known.tolist() == [True, True, False]


def test_the_row_of_unknown_units_gets_no_gradient() -> None:
    module = embedding("cat")
    types = Types.of(["dog", "cat"], "subwords")
    module(torch.from_numpy(types.units), torch.from_numpy(types.starts)).sum().backward()
    assert module.weight.grad is not None
    assert module.weight.grad.tolist() == [[1, 1, 1], [0, 0, 0]]


def test_types_can_be_selected_with_none_and_with_empty_ones() -> None:
    types = Types.of(["", "ab", "abc"], "subwords")
    assert np.diff(types.starts).tolist() == [0, 5, 8]
    chosen = types.select(np.array([2, 0]))
    assert chosen.starts.tolist() == [0, 8, 8]
    assert chosen.units.tolist() == types.units[5:].tolist()


def test_units_that_occur_once_have_no_row() -> None:
    types = Types.of(["ab", "xy"], "subwords")
    kept = choose_units(types, np.array([2, 1]), max_units=100)
    assert set(kept.tolist()) == set(map(hash_text, word_units("ab")))
    assert len(choose_units(types, np.array([3, 2]), max_units=4)) == 4
