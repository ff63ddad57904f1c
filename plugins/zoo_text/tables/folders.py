"""Folders: of folders of texts, whose names are the labels, and of one table for each part."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import DataError
from zoo_text.options import TextOptions
from zoo_text.tables.encodings import Encoding, detect, text_of
from zoo_text.tables.notes import plural
from zoo_text.tables.streams import MAX_TEXT, MAX_TEXTS, compression, head, looks_binary, opened
from zoo_text.tables.table import NO_PART, PART_NAMES, Cell, Table, Tally

# A folder of texts without labels, in the archive of film reviews that many unpack.
_UNLABELED = frozenset({"unsup", "unlabeled", "unlabelled"})
_FIX = "give a folder with a folder of text files for each label"


def is_folder_of_texts(path: Path) -> bool:
    """Return whether a folder has a folder of texts for each label, perhaps below its parts."""
    return len({label for label, _, _ in _labels(path)}) > 1


def read_folders(path: Path, options: TextOptions) -> Table:
    """Read a folder of folders of texts.

    Args:
        path: ``LABEL/FILE``, or ``PART/LABEL/FILE`` with the parts train, validation and test.
        options: ``encoding`` is used.

    Raises:
        DataError: There are no such folders, or a text cannot be read.
    """
    texts: list[Cell] = []
    labels: list[Cell] = []
    parts: list[int] = []
    unreadable = Tally()
    encodings: Counter[Encoding] = Counter()
    total = 0
    for label, part, folder in _labels(path):
        for file in _files(folder):
            if (found := _text(file, options)) is None:
                unreadable.add(len(texts) + unreadable.count + 1)
                continue
            text, encoding = found
            encodings[encoding] += 1
            total += len(text)
            if total > MAX_TEXTS:
                raise DataError("texts are longer than 4 GiB together", where=str(path), fix=_FIX)
            texts.append(text)
            labels.append(label)
            parts.append(part)
    if not texts:
        raise DataError("no texts", where=str(path), fix=_FIX)
    notes = [] if options.encoding else list(_encoding_notes(encodings))
    if unreadable.count:
        notes.append(f"left out {plural(unreadable.count, 'file')} of no text")
    return Table(
        str(path),
        {"text": texts, "label": labels},
        list(range(1, len(texts) + 1)),
        "folder of texts",
        "file",
        parts if any(part != NO_PART for part in parts) else None,
        notes=notes,
        resolved={"text_column": "text", "label_column": "label"},
    )


def subfolders(path: Path) -> list[Path]:
    """Return the folders in a folder, sorted, without hidden ones.

    Raises:
        DataError: It may not be read.
    """
    try:
        children = sorted(child for child in path.iterdir() if child.is_dir())
    except OSError as error:
        raise DataError("cannot read the folder", where=str(path), why=str(error)) from error
    return [child for child in children if not child.name.startswith((".", "__"))]


def _encoding_notes(encodings: Counter[Encoding]) -> Iterator[str]:
    """Yield sentences on files that are not UTF-8, and on those that are damaged."""
    total = encodings.total()
    others = Counter({str(e): count for e, count in encodings.items() if str(e) != "UTF-8"})
    if others:
        names = ", ".join(
            name if len(others) == 1 else f"{name} ({count:,})"
            for name, count in others.most_common()
        )
        are = "is" if others.total() == 1 else "are"
        yield f"{others.total():,} of {plural(total, 'file')} {are} not UTF-8: read as {names}"
    if damaged := sum(count for e, count in encodings.items() if e.damaged):
        yield f"places that are not UTF-8 were replaced in {plural(damaged, 'file')}"


def _labels(path: Path) -> Iterator[tuple[str, int, Path]]:
    """Yield label, part and folder of each label."""
    children = subfolders(path)
    in_parts = [child for child in children if child.name.lower() in PART_NAMES]
    if len(children) == 1 and not in_parts:
        # The folder around the one that an archive unpacks to.
        yield from _labels(children[0])
        return
    for child in in_parts or children:
        part = PART_NAMES[child.name.lower()] if in_parts else NO_PART
        for folder in subfolders(child) if in_parts else [child]:
            if folder.name.lower() in _UNLABELED or not next(_files(folder), None):
                continue
            try:
                folder.name.encode()
            except UnicodeEncodeError as error:
                raise DataError(
                    "the name of a folder is not UTF-8", where=str(path), why=repr(folder.name),
                    fix="rename it: it is the label of its texts",
                ) from error  # fmt: skip
            yield folder.name, part, folder


def _files(folder: Path) -> Iterator[Path]:
    try:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.name.startswith("."):
                yield file
    except OSError as error:
        raise DataError("cannot read the folder", where=str(folder), why=str(error)) from error


def _text(file: Path, options: TextOptions) -> tuple[str, Encoding] | None:
    """Return the text of a file, without its last line end, and its encoding.

    None: it is binary.

    Raises:
        DataError: It cannot be read, or has more than 64 MiB.
    """
    if compression(file):
        return None
    with opened(file) as content:
        is_long = content.seek(0, io.SEEK_END) > MAX_TEXT
    if is_long:
        # What is left out is read all the same, for the digest of the folder.
        raise DataError("a text is longer than 64 MiB", where=str(file), fix="move it elsewhere")
    start = head(file, 1 << 12)
    if looks_binary(start) and not start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    encoding = detect(file, options.encoding)
    with text_of(file, encoding) as stream:
        return stream.read(MAX_TEXT).replace("\r\n", "\n").removesuffix("\n"), encoding
