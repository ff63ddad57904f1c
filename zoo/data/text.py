"""Text files as streams: decoded, cut at markers, coded as integers, in constant memory."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError

BLOCK_BYTES = 1 << 20
CODE_POINTS = 0x110000


def decode(content: bytes, where: str) -> str:
    """Decode UTF-8.

    Raises:
        DataError: It is not UTF-8; the message gives the byte offset.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(where, error.start, content[error.start]) from error


def blocks(path: Path) -> Iterator[str]:
    """Yield a UTF-8 file as blocks of text, without byte-order mark and with ``\\n`` line ends.

    Raises:
        DataError: The file is missing or not UTF-8; the message gives file and byte offset.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    position = 0
    try:
        with path.open("rb") as file:
            first = True
            while True:
                block = file.read(BLOCK_BYTES)
                if first and block.startswith(codecs.BOM_UTF8):
                    block = block[len(codecs.BOM_UTF8) :]
                    position = len(codecs.BOM_UTF8)
                first = False
                pending = decoder.getstate()[0]
                try:
                    text = decoder.decode(block, final=not block)
                except UnicodeDecodeError as error:
                    offset = position - len(pending) + error.start
                    raise _not_utf8(str(path), offset, error.object[error.start]) from error
                position += len(block)
                yield newlines.decode(text, final=not block)
                if not block:
                    return
    except OSError as error:
        raise DataError(
            "cannot read the data",
            where=str(path),
            why=error.strerror or str(error),
            fix="check the path",
        ) from error


def cut(texts: Iterable[str], start: str, end: str) -> Iterator[str]:
    """Yield what stands from the first ``start`` (included) to the ``end`` after it (excluded).

    An empty marker cuts nothing.

    Raises:
        DataError: A marker is not found.
    """
    started = not start
    held = ""
    for text in texts:
        held += text
        if not started:
            at = held.find(start)
            if at < 0:
                held = held[max(0, len(held) - len(start) + 1) :]
                continue
            held = held[at:]
            started = True
        if end:
            at = held.find(end)
            if at >= 0:
                yield held[:at]
                return
            # The marker may straddle two blocks: hold back what could be its beginning.
            keep = min(len(end) - 1, len(held))
            yield held[: len(held) - keep]
            held = held[len(held) - keep :]
        else:
            yield held
            held = ""
    if not started or end:
        missing = start if not started else end
        raise DataError("marker not found", where="the text", why=repr(missing))


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """Return the code points of a text, one number a character."""
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def alphabet(texts: Iterable[str]) -> tuple[str, int]:
    """Return the distinct characters of a stream, sorted, and how many characters it has."""
    seen = np.zeros(CODE_POINTS, dtype=bool)
    count = 0
    for text in texts:
        codes = code_points(text)
        seen[codes] = True
        count += len(codes)
    return "".join(map(chr, np.flatnonzero(seen))), count


def coder(characters: str) -> npt.NDArray[np.uint16]:
    """Return the table from code point to index in ``characters``.

    Raises:
        DataError: They are more than 65,535.
    """
    if len(characters) > np.iinfo(np.uint16).max:
        raise DataError("too many distinct characters", why=f"the text has {len(characters):,}")
    table = np.zeros(CODE_POINTS, dtype=np.uint16)
    table[code_points(characters)] = np.arange(len(characters), dtype=np.uint16)
    return table


def _not_utf8(where: str, offset: int, byte: int) -> DataError:
    return DataError(
        "text is not UTF-8",
        where=where,
        why=f"byte 0x{byte:02x} at offset {offset}",
        fix="convert the file to UTF-8",
    )
