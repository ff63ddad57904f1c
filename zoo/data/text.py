"""Text files read in blocks: decoded, cut at markers, turned into token ids, in constant memory."""

from __future__ import annotations

import codecs
import errno
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError
from zoo.files import unreadable

BLOCK_BYTES = 1 << 20
CODE_POINTS = 0x110000


def decode(content: bytes, where: str) -> str:
    """Decode UTF-8.

    Args:
        content: The bytes.
        where: What they are, for the message.

    Raises:
        DataError: It is not UTF-8; the message gives the byte offset.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(where, error.start, content[error.start]) from error


def blocks(path: Path) -> Iterator[str]:
    """Yield a UTF-8 file as blocks of text, without byte-order mark and with ``\\n`` line ends.

    Args:
        path: The file.

    Raises:
        DataError: The file is missing, not UTF-8 or zeros for the most part; the message gives
            file and byte offset.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    position = 0
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "it is no regular file")
        with path.open("rb") as file:
            first = True
            while True:
                block = file.read(BLOCK_BYTES)
                if block.count(0) * 2 > len(block) >= BLOCK_BYTES:
                    raise DataError(
                        "this is no text", where=str(path), why=f"zeros from offset {position}"
                    )
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
        raise unreadable(path, error) from error


def cut(texts: Iterable[str], start: str, end: str) -> Iterator[str]:
    """Yield the text from the first ``start`` (included) to the next ``end`` (excluded).

    Args:
        texts: The text in blocks.
        start: The marker before which nothing is yielded; empty: from the beginning.
        end: The marker from which on nothing is yielded; empty: to the end.

    Raises:
        DataError: A marker is not found.
    """
    started = not start
    buffer = ""
    for text in texts:
        buffer += text
        if not started:
            at = buffer.find(start)
            if at < 0:
                buffer = buffer[max(0, len(buffer) - len(start) + 1) :]
                continue
            buffer = buffer[at:]
            started = True
        if end:
            at = buffer.find(end)
            if at >= 0:
                yield buffer[:at]
                return
            # The marker may straddle two blocks: what could be its beginning stays in the buffer.
            overlap = min(len(end) - 1, len(buffer))
            yield buffer[: len(buffer) - overlap]
            buffer = buffer[len(buffer) - overlap :]
        else:
            yield buffer
            buffer = ""
    if not started or end:
        missing = start if not started else end
        raise DataError("marker not found", where="the text", why=repr(missing))


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """Return the Unicode code points (N,) of a text of N characters.

    Args:
        text: The text.
    """
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def alphabet(texts: Iterable[str]) -> tuple[str, int]:
    """Return the distinct characters of a text in blocks, sorted, and its length.

    Args:
        texts: The text in blocks.
    """
    seen = np.zeros(CODE_POINTS, dtype=bool)
    count = 0
    for text in texts:
        points = code_points(text)
        seen[points] = True
        count += len(points)
    return "".join(map(chr, np.flatnonzero(seen))), count


def token_id_table(characters: str) -> npt.NDArray[np.uint16]:
    """Return the token id of every code point (1114112,): its index in ``characters``.

    Code points that are not among them have the token id 0.

    Args:
        characters: Distinct characters.

    Raises:
        DataError: There are more than 65,535 characters.
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
