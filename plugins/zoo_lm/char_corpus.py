"""A text as token ids: read in blocks, encoded once, then mapped into memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from zoo import files
from zoo.data import store
from zoo.data.ragged import IntArray
from zoo.data.text import alphabet, blocks, code_points, cut, token_id_table
from zoo.errors import DataError

# Increase it when the encoding or the layout of a cache entry changes.
VERSION = 2
# The lines that Project Gutenberg puts around a book.
_GUTENBERG_START = re.compile(r"\*\*\* ?START OF TH(?:E|IS) PROJECT GUTENBERG EBOOK")
_GUTENBERG_END = re.compile(r"\*\*\* ?END OF TH(?:E|IS) PROJECT GUTENBERG EBOOK")


@dataclass(frozen=True, slots=True)
class Text:
    """A text in token ids.

    Args:
        characters: The distinct characters, sorted; the index of a character is its token id.
        token_ids: (N,) the text; uint8, or uint16 where there are more than 256 characters.
        digest: sha256 of the source.
    """

    characters: str
    token_ids: IntArray
    digest: str


def load(path: Path | None, start: str, end: str) -> Text:
    """Return a text, encoding it if it is not in the cache.

    Args:
        path: A UTF-8 file; None for Python's own manual.
        start: Marker that the text starts with; empty: from the beginning.
        end: Marker that the text ends before; empty: to the end.

    Raises:
        DataError: The file is missing, empty or not UTF-8, or a marker is not in it.
        DiskError: The cache cannot be written.
    """
    if path is None:
        manual = python_manual()
        digest = files.digest_text(manual)
        return _load(lambda: iter([manual]), digest, "", "", "Python's manual")
    if path.is_dir():
        raise DataError("data is a folder", where=str(path), fix="give a text file")
    digest = files.digest(path)
    if not start and not end:
        start, end = gutenberg_markers(path)
    return _load(lambda: blocks(path), digest, start, end, str(path))


def python_manual() -> str:
    """Return the prose that ships inside every CPython: the topics of ``help()``."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def gutenberg_markers(path: Path) -> tuple[str, str]:
    """Return the markers of a Project Gutenberg book, or empty ones for any other text."""
    first = "".join(islice(blocks(path), 1))
    found = _GUTENBERG_START.search(first)
    line_end = first.find("\n", found.end()) + 1 if found else 0
    if not line_end:
        return "", ""
    end = ""
    buffer = ""
    for block in blocks(path):
        buffer = buffer[-200:] + block
        if match := _GUTENBERG_END.search(buffer):
            end = match[0]
            break
    # The line itself is not part of the book; the text starts with what follows it.
    following = first[line_end : line_end + 200]
    return (following, end) if following.strip() and end else ("", "")


def _load(read: Callable[[], Iterator[str]], digest: str, start: str, end: str, where: str) -> Text:
    def build(folder: Path) -> None:
        characters, count = alphabet(cut(read(), start, end))
        if count < 2:
            raise DataError("no text", where=where, why=f"{count} characters")
        table = token_id_table(characters)
        dtype = np.uint8 if len(characters) <= 256 else np.uint16
        parts = (table[code_points(text)] for text in cut(read(), start, end))
        store.save_parts(folder, "token_ids", parts, dtype, count)
        (folder / "characters.json").write_text(json.dumps(characters), encoding="utf-8")

    key = {"task": "char-lm", "version": VERSION, "digest": digest, "start": start, "end": end}
    entry = store.cached(key, build)
    characters = json.loads((entry / "characters.json").read_text(encoding="utf-8"))
    return Text(characters, store.load(entry, "token_ids"), digest)
