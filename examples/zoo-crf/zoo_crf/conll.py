"""Files in CoNLL format: a word a line, its tag last, an empty line between sentences.

Such files are those of CoNLL-2000, 2002 and 2003, WNUT, GermEval and others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from zoo.data.text import blocks
from zoo.errors import DataError

# BILOU is BIOES with other letters for the last word and the only one.
_TAG = re.compile(r"O|[BIESLU]-\S+")
_TO_BIOES = {"L": "E", "U": "S"}
# Not at every blank of Unicode: words may have a no-break space inside.
_BLANKS = re.compile(r"[ \t]+")


class Sentence(NamedTuple):
    """Words and their tags, in the scheme of the file: BIO, BIOES, or IOB, which rarely has B."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


def read(path: Path) -> list[Sentence]:
    """Read a file.

    Raises:
        DataError: It cannot be read, or a line has no tag; the message names the line.
    """
    return list(parse("".join(blocks(path)), str(path)))


def parse(text: str, name: str) -> Iterator[Sentence]:
    """Yield the sentences of a text.

    Args:
        text: The text. ``-DOCSTART-`` lines are skipped, and comments: lines that begin with ``#``
            before a sentence and do not end with a tag.
        name: What it is called in messages.

    Raises:
        DataError: A line has no tag.
    """
    words: list[str] = []
    tags: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        columns = _BLANKS.split(line.strip(" \t"))
        first, last = columns[0], columns[-1]
        if not first or first == "-DOCSTART-":
            if words:
                yield Sentence(tuple(words), tuple(tags))
            words, tags = [], []
        elif len(columns) > 1 and _TAG.fullmatch(last):
            words.append(first)
            tags.append(_TO_BIOES.get(last[0], last[0]) + last[1:])
        elif words or not first.startswith("#"):
            raise DataError(
                f"{last!r} is no tag" if len(columns) > 1 else f"{first!r} has no tag",
                where=f"line {number} of {name}",
                fix="write the word first and its tag last: O, B-TYPE, I-TYPE, E-TYPE or S-TYPE",
            )
    if words:
        yield Sentence(tuple(words), tuple(tags))
