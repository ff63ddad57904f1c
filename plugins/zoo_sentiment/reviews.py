"""Where reviews come from: the IMDb archive or folder, a table, or the sample."""

from __future__ import annotations

import csv
import gzip
import json
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

from zoo.data.text import blocks, decode
from zoo.errors import DataError
from zoo_text.sample import sample

_REVIEW = re.compile(r"(?:.*/)?(train|test)/(pos|neg)/(\d+)_\d+\.txt")
_FILMS = re.compile(r"(?:.*/)?(train|test)/urls_(pos|neg)\.txt")
_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".tar.xz")


@dataclass(frozen=True, slots=True)
class Review:
    """A labelled text.

    Args:
        text: As written.
        label: Its label.
        part: ``train`` or ``test``; empty where the data has no such split.
        number: Its number in the data.
    """

    text: str
    label: str
    part: str
    number: int


@dataclass(frozen=True, slots=True)
class Reviews:
    """All reviews of a source; ``films[part, label][number]`` names a review's film, if known."""

    reviews: list[Review]
    films: dict[tuple[str, str], list[str]]


def read(path: Path, text_column: str, label_column: str) -> Reviews:
    """Read reviews from a path.

    Args:
        path: The IMDb archive (read as a stream, never unpacked), the folder it unpacks to, or a
            ``.csv``, ``.tsv`` or ``.jsonl`` table.
        text_column: Column of a table with the texts.
        label_column: Column of a table with the labels.

    Raises:
        DataError: It is none of these or is damaged; the message names file and line.
    """
    if path.is_dir():
        return _imdb(path, _folder(path))
    name = path.name.lower()
    if name.endswith(_ARCHIVES):
        return _imdb(path, _archive(path))
    if name.endswith((".csv", ".tsv")):
        delimiter = "\t" if name.endswith(".tsv") else ","
        return Reviews(list(_table(path, delimiter, text_column, label_column)), {})
    if name.endswith((".jsonl", ".ndjson")):
        return Reviews(list(_lines(path, text_column, label_column)), {})
    raise DataError(
        "unknown kind of data",
        where=str(path),
        fix="give the IMDb archive or its folder, or a .csv, .tsv or .jsonl table",
    )


def _imdb(path: Path, files: Iterator[tuple[str, bytes]]) -> Reviews:
    reviews: list[Review] = []
    films: dict[tuple[str, str], list[str]] = {}
    for name, content in files:
        if match := _REVIEW.fullmatch(name):
            text = decode(content, f"{path}, {name}")
            reviews.append(Review(text, match[2], match[1], int(match[3])))
        elif match := _FILMS.fullmatch(name):
            films[match[1], match[2]] = decode(content, f"{path}, {name}").split()
    if not reviews:
        raise DataError(
            "no reviews",
            where=str(path),
            why="it has no train/pos, train/neg, test/pos or test/neg",
            fix="give the archive as it was published, or the folder that it unpacks to",
        )
    # An archive and its folder list files in different orders.
    reviews.sort(key=lambda review: (review.part, review.label, review.number))
    return Reviews(reviews, films)


def _archive(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with _decompressed(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                if member.isfile() and (
                    _REVIEW.fullmatch(member.name) or _FILMS.fullmatch(member.name)
                ):
                    file = archive.extractfile(member)
                    assert file is not None
                    yield member.name, file.read()
            # tarfile takes anything but a header for the end of the archive. The end is a block of
            # zeros, and the checksum of the compression comes after it.
            stream.seek(archive.offset)
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise EOFError(f"no file and no end at offset {archive.offset}")
            while stream.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        raise DataError(
            "archive is damaged or cut short",
            where=str(path),
            why=str(error),
            fix="fetch it again",
        ) from error


def _decompressed(path: Path) -> BufferedIOBase:
    """Open an archive in the compression that its first bytes tell, whatever its name."""
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(path)
    if start == b"\xfd7zXZ\x00":
        return lzma.open(path)
    return path.open("rb")


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    # The folder may be aclImdb, or the one that contains it.
    inside = [path, *sorted(child for child in path.iterdir() if child.is_dir())]
    roots = [root for root in inside if (root / "train").is_dir() or (root / "test").is_dir()]
    if len(roots) > 1:
        raise DataError(
            "more than one data set",
            where=str(path),
            why=f"{' and '.join(root.name for root in roots)} both have a train or a test part",
            fix="give one of them",
        )
    for root in roots:
        for file in sorted(root.rglob("*.txt")):
            name = file.relative_to(root).as_posix()
            if _REVIEW.fullmatch(name) or _FILMS.fullmatch(name):
                yield name, file.read_bytes()


def _table(path: Path, delimiter: str, text: str, label: str) -> Iterator[Review]:
    rows = csv.reader(_physical_lines(path), delimiter=delimiter)
    try:
        header = next(rows, [])
        for column in (text, label):
            if column not in header:
                raise _no_column(path, column, header)
        at_text, at_label = header.index(text), header.index(label)
        for number, row in enumerate(rows):
            if not row:
                continue
            where = f"{path}, line {rows.line_num}"
            if len(row) <= max(at_text, at_label):
                raise DataError("row is too short", where=where, why=f"{len(row)} columns")
            yield _review(row[at_text], row[at_label], number, where, label)
    except csv.Error as error:
        raise DataError(
            "table is malformed", where=f"{path}, line {rows.line_num}", why=str(error)
        ) from error


def _lines(path: Path, text: str, label: str) -> Iterator[Review]:
    for number, line in enumerate(_physical_lines(path)):
        if not line.strip():
            continue
        where = f"{path}, line {number + 1}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError("line is not JSON", where=where, why=str(error)) from error
        if not isinstance(row, dict):
            raise DataError("line is not a JSON object", where=where)
        for column in (text, label):
            if column not in row:
                raise _no_column(path, column, list(row), where)
        yield _review(row[text], row[label], number, where, label)


def _review(text: object, label: object, number: int, where: str, column: str) -> Review:
    if not isinstance(text, str):
        raise DataError("text is not a string", where=where, why=f"got {text!r}")
    if not isinstance(label, str | int) or not str(label).strip():
        raise DataError("label is missing", where=where, why=f"column {column!r} is empty")
    try:
        (text + str(label)).encode()
    except UnicodeEncodeError as error:  # JSON can escape half of a surrogate pair.
        raise DataError("text is not Unicode", where=where, why=str(error)) from error
    return Review(text, str(label).strip(), "", number)


def _no_column(path: Path, column: str, columns: list[str], where: str = "") -> DataError:
    kind = "text_column" if column == "text" else "label_column"
    return DataError(
        f"no column {column!r}",
        where=where or str(path),
        why=f"columns are {', '.join(columns) or 'none'}",
        fix=f"name the right one, for instance --set {kind}=NAME",
    )


def _physical_lines(path: Path) -> Iterator[str]:
    rest = ""
    for block in blocks(path):
        *lines, rest = (rest + block).split("\n")
        yield from (line + "\n" for line in lines)
    if rest:
        yield rest


def sample_reviews() -> Reviews:
    """Return the sample."""
    reviews = [
        Review(text, label, "test" if number % 5 == 0 else "train", number)
        for number, (text, label) in enumerate(sample())
    ]
    return Reviews(reviews, {})


def is_imdb(path: Path) -> bool:
    """Return whether a path is the IMDb archive, or a folder that it unpacks to."""
    if path.is_dir():
        return any(_REVIEW.fullmatch(name) for name, _ in _folder(path))
    return path.name.lower().endswith(_ARCHIVES)
