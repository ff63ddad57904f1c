"""A text as numbers: read as a stream, coded once, then mapped into memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo import files
from zoo.data import store
from zoo.data.text import alphabet, blocks, code_points, coder, cut
from zoo.errors import DataError

VERSION = 1
# The lines that Project Gutenberg puts around a book.
_GUTENBERG_START = re.compile(r"\*\*\* ?START OF TH(?:E|IS) PROJECT GUTENBERG EBOOK[^\n]*\n")
_GUTENBERG_END = re.compile(r"\*\*\* ?END OF TH(?:E|IS) PROJECT GUTENBERG EBOOK")


@dataclass(frozen=True, slots=True)
class Text:
    """A text in numbers.

    Args:
        characters: The distinct characters, sorted; a character's number is its place.
        codes: (N,) the text.
        digest: sha256 of the source.
    """

    characters: str
    codes: npt.NDArray[Any]
    digest: str


def load(path: Path | None, start: str, end: str) -> Text:
    """Return a text, coding it if that was not done before.

    Args:
        path: A UTF-8 file; None for Python's own manual.
        start: Marker that the text starts with; empty: from the beginning.
        end: Marker that the text ends before; empty: to the end.

    Raises:
        DataError: The file is missing, empty or not UTF-8, or a marker is not in it.
    """
    if path is None:
        manual = python_manual()
        digest = files.digest_text(manual)
        return _loaded(lambda: iter([manual]), digest, "", "", "Python's manual")
    if path.is_dir():
        raise DataError("data is a folder", where=str(path), fix="give a text file")
    digest = files.digest(path)
    if not start and not end:
        start, end = gutenberg_markers(path)
    return _loaded(lambda: blocks(path), digest, start, end, str(path))


def python_manual() -> str:
    """Return the prose that ships inside every CPython: the topics of ``help()``."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def gutenberg_markers(path: Path) -> tuple[str, str]:
    """Return the lines around a Project Gutenberg book, or nothing for any other text."""
    first = "".join(islice(blocks(path), 1))
    found = _GUTENBERG_START.search(first)
    if not found:
        return "", ""
    end = ""
    held = ""
    for block in blocks(path):
        held = held[-200:] + block
        if match := _GUTENBERG_END.search(held):
            end = match[0]
            break
    # The line itself is not part of the book; the text starts with what follows it.
    following = first[found.end() : found.end() + 200]
    return (following, end) if following.strip() and end else ("", "")


def _loaded(
    read: Callable[[], Iterator[str]], digest: str, start: str, end: str, where: str
) -> Text:
    def build(folder: Path) -> None:
        characters, count = alphabet(cut(read(), start, end))
        if count < 2:
            raise DataError("no text", where=where, why=f"{count} characters")
        table = coder(characters)
        kind = np.uint8 if len(characters) <= 256 else np.uint16
        coded = (table[code_points(text)] for text in cut(read(), start, end))
        store.save_parts(folder, "codes", coded, kind, count)
        (folder / "characters.json").write_text(json.dumps(characters), encoding="utf-8")

    recipe = {
        "task": "char-lm",
        "version": VERSION,
        "digest": digest,
        "start": start,
        "end": end,
    }
    entry = store.cached(recipe, build)
    characters = json.loads((entry / "characters.json").read_text(encoding="utf-8"))
    return Text(characters, store.load(entry, "codes"), digest)
