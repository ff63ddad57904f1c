"""Texts to learn a language from: a text file, a table, a folder or an archive of texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.data.text import blocks, cut, decode
from zoo.errors import DataError
from zoo_lm.char_corpus import gutenberg_markers, python_manual
from zoo_text.archives import read_archive
from zoo_text.options import TextOptions
from zoo_text.tables import looks_like_table
from zoo_text.tables.columns import choose_text_column, row_parts
from zoo_text.tables.looks import read_table
from zoo_text.tables.streams import head, is_tar, read_bytes
from zoo_text.tables.table import PARTS, as_text

# Files of a test part are never learned from; the others are lists that IMDb's archive has.
_LEFT_OUT = re.compile(r"(?:.*/)?(?:test/.*|urls_\w+\.txt|imdbEr\.txt)")

_TEST = PARTS.index("test")


@dataclass(frozen=True, slots=True)
class Documents:
    """Texts of a source.

    Args:
        read: Reads them from the beginning, one after the other.
        independent: Whether their order says nothing, unlike that of the paragraphs of a book.
        form: What the source was taken for.
    """

    read: Callable[[], Iterator[str]]
    independent: bool
    form: str


def find_documents(path: Path | None, text_column: str = "") -> Documents:
    """Return the texts of a source; they are read when they are asked for.

    A folder or an archive has a text in every ``.txt`` file; those in a folder ``test`` are left
    out, and so are rows of a table whose part is said to be ``test``. A text file has one on every
    line, or, where it has empty lines, in every paragraph.

    Args:
        path: The source; None for Python's own manual.
        text_column: The column of a table that has the texts; empty: it is found.

    Raises:
        DataError: The source is missing or of no kind that can be read.
    """
    if path is None:
        return Documents(lambda: _paragraphs(iter([python_manual()])), False, "Python's manual")
    if path.is_dir():
        return Documents(lambda: _folder(path), True, "a folder of .txt files")
    if not path.exists() or is_tar(head(path, 1 << 12)):
        return Documents(lambda: _archive(path), True, "an archive of .txt files")
    if path.suffix.lower() != ".txt" and looks_like_table(path):
        return Documents(lambda: _table(path, text_column), True, "a table of texts")
    start, end = gutenberg_markers(path)
    return Documents(lambda: _paragraphs(cut(blocks(path), start, end)), False, "a text")


def _is_read(name: str) -> bool:
    return name.endswith(".txt") and not _LEFT_OUT.fullmatch(name)


def _archive(path: Path) -> Iterator[str]:
    for name, content in read_archive(path, _is_read):
        yield decode(content, f"{path}, {name}")


def _folder(path: Path) -> Iterator[str]:
    try:
        files = sorted(file for file in path.rglob("*.txt") if file.is_file())
    except OSError as error:
        raise DataError("cannot read the folder", where=str(path), why=str(error)) from error
    for file in files:
        if _is_read(file.relative_to(path).as_posix()):
            yield decode(read_bytes(file), str(file))


def _table(path: Path, text_column: str) -> Iterator[str]:
    table = read_table(path, TextOptions())
    parts = row_parts(table)
    for cell, part in zip(
        table.columns[choose_text_column(table, text_column)], parts, strict=True
    ):
        if part != _TEST:
            yield as_text(cell)


def _paragraphs(texts: Iterator[str]) -> Iterator[str]:
    """Yield the paragraphs of a text in blocks, or its lines where no line is empty."""
    rest = next(texts, "")
    end = "\n\n" if "\n\n" in rest.strip() else "\n"
    for text in texts:
        *whole, rest = (rest + text).split(end)
        yield from whole
    yield from rest.split(end)
