"""What is done with a user's text takes time in proportion to its length."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import islice, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promises import Promise

from zoo.data.text import cut
from zoo.errors import DataError
from zoo_lm.char_corpus import gutenberg_markers
from zoo_sentiment import reviews
from zoo_text import ngrams, subwords
from zoo_text.options import TextOptions
from zoo_text.tables import dialects, header, labels, load_columns, load_table, names, splits
from zoo_text.tables.coding import find_coding
from zoo_text.tables.notes import aligned
from zoo_text.tables.notes import cut as cut_name
from zoo_text.tokens import tokenize

LINEAR = Promise(
    "Reading a text takes time in proportion to its length: eight times the text, under 30 times "
    "the time",
    quick=40,
    full=585,
)
# What expressions and loops may stumble over: each is repeated.
PIECES = (
    "<", "<a", "<>", ">", '"', "'", "a'", '""', '"\n', "\\", " ", "\n", "\r", "1", "1,", "1.", "-1",
    "2020-01-01 ", "[", "a|", ";", ":-", "=", "_id", "aB", "https://", "\ud800", "\u0301", "ß",
    "train/pos/1", "/train/pos/", "*** START OF THIS PROJECT GUTENBERG EBOOK", "a,b\n", '"a,b\n',
    "\t", "\0", "e9", "ab ", "很",
)  # fmt: skip


def as_file(read: Callable[[Path], object]) -> Callable[[str, Path], None]:
    """Return a function of a text that reads a file of it."""

    def reading(text: str, folder: Path) -> None:
        path = folder / "data.csv"
        path.write_bytes(text.encode("utf-8", "replace"))
        with suppress(DataError):
            read(path)

    return reading


def columns(text: str, folder: Path) -> None:
    del folder
    cells = [text[: len(text) // 2], text, "a", "b"] * 5
    for table in ({"x": cells, "y": ["p", "q"] * 10}, {"text": ["a b"] * 20, "label": cells}):
        with suppress(DataError):
            load_columns(table, TextOptions(), 1)


def cut_out(text: str, folder: Path) -> None:
    del folder
    with suppress(DataError):
        list(cut([text[n : n + 1000] for n in range(0, len(text), 1000)], "no such", "end"))


def names_of_files(text: str, folder: Path) -> None:
    del folder
    reviews._REVIEW.fullmatch(text)
    reviews._FILMS.fullmatch(text)


def of_text(*functions: Callable[[str], object]) -> Callable[[str, Path], None]:
    def reading(text: str, folder: Path) -> None:
        del folder
        for function in functions:
            function(text)

    return reading


READING: tuple[Callable[[str, Path], None], ...] = (
    of_text(tokenize),
    of_text(subwords.words, subwords.characters, subwords.word_units),
    of_text(lambda text: ngrams.word_ngrams([text], 2)),
    of_text(lambda text: ngrams.character_ngrams([text], 4)),
    of_text(splits.normal_text, splits.is_word, lambda text: splits.group_texts([text, text])),
    of_text(names.is_known, lambda text: header.has_header([[text, "a"], ["b", "c"]])),
    of_text(labels.is_number, lambda text: labels.natural_order([text, text + "1"])),
    of_text(lambda text: find_coding([text, f"[{text}]", "a"], text, "auto", ["a"])),
    of_text(cut_name, lambda text: aligned("note", cut_name(text))),
    of_text(lambda text: dialects.find_delimiter(text.splitlines(keepends=True), ['"', ""], "")),
    columns,
    as_file(lambda path: load_table(path, TextOptions(), 1)),
    as_file(gutenberg_markers),
    cut_out,
    names_of_files,
)  # fmt: skip
CASES = list(product(range(len(READING)), PIECES))


def seconds(read: Callable[[str, Path], None], text: str, folder: Path) -> float:
    """Return the least of three times of the processor, and never less than it can measure."""
    least = float("inf")
    for _ in range(3):
        started = time.process_time()
        read(text, folder)
        least = min(least, time.process_time() - started)
    return max(least, 2e-3)


SOME = list(islice(CASES, 0, None, max(1, len(CASES) // LINEAR.cases)))[: LINEAR.cases]


@pytest.mark.parametrize(("number", "piece"), SOME)
def test_time_is_in_proportion_to_length(number: int, piece: str, tmp_path: Path) -> None:
    text = piece * (6000 // len(piece))
    short = seconds(READING[number], text, tmp_path)
    assert seconds(READING[number], text * 8, tmp_path) < 30 * short


TAG = re.compile(r"<[^>]*>")


@settings(max_examples=LINEAR.cases, deadline=None, database=None)
@given(text=st.text(st.sampled_from("<>/ab \n:-)é\u0301很")) | st.text())
def test_words_are_those_of_the_expressions_written_plainly(text: str) -> None:
    plain = TAG.sub(" ", text).lower()
    expected = [
        word.replace("-", "") if word[0] in ":;=" else word
        for word in re.findall(r"[:;=]-?[()dp](?!\w)|\w+", plain)
    ]
    assert Counter(tokenize(text)) == Counter(expected)
    assert tokenize(text) == expected
