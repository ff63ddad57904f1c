"""Files as streams of bytes: decompressed, and refused where they can be no table."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from zoo.errors import DataError
from zoo.files import unreadable

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Bytes of a text, characters of a line or row: the longest book has a tenth of it, and reading
# takes some copies of it in memory.
MAX_TEXT = 1 << 26
# Bytes of all texts of a folder or an archive, which are in memory at once.
MAX_TEXTS = 1 << 32
# Compressed content that is longer than MAX_TEXT, and this many times as long as the file, is
# refused: text is compressed to a tenth, some logs to a fiftieth, and zeros to a thousandth.
_MAX_RATIO = 100
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
SUFFIXES_OF_COMPRESSION = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zstd")
_SAVE_AS_CSV = "save the sheet as CSV (UTF-8) and give that"
_AS_TABLE = "give a table: CSV, TSV, JSON, JSONL or Parquet"
# What is not a table, by its first bytes: its name and what to do.
_OTHERS = (
    (b"\xd0\xcf\x11\xe0", "an Excel or other Office file", _SAVE_AS_CSV),
    (b"%PDF", "a PDF file", _AS_TABLE),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it and give the file or folder in it"),
    (b"Rar!", "a RAR archive", "unpack it and give the file or folder in it"),
    (b"SQLite format 3\x00", "an SQLite database", "export the table as CSV and give that"),
    (b"\x89PNG", "an image", _AS_TABLE),
    (b"\xff\xd8\xff", "an image", _AS_TABLE),
    (b"GIF8", "an image", _AS_TABLE),
    (b"\x7fELF", "a program", _AS_TABLE),
    (b"\x89HDF", "an HDF5 file", "write it as CSV or Parquet and give that"),
    (b"\x93NUMPY", "a NumPy file", "write it as CSV or Parquet and give that"),
    (b"\x80\x04", "a Python pickle, which may run any code", "write it as CSV or Parquet"),
    (b"\x80\x05", "a Python pickle, which may run any code", "write it as CSV or Parquet"),
)
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, decompressed as its first bytes tell; memory is bounded by streaming.

    Raises:
        DataError: It is missing, no regular file, may not be read, or its compressed content is
            damaged or out of all proportion.
    """
    kind = compression(path)
    try:
        with path.open("rb") as file:
            if not kind:
                yield file
                return
            with decompressed(file, kind) as stream:
                longest = max(MAX_TEXT, _MAX_RATIO * path.stat().st_size)
                limited = _Limited(stream, longest, path)
                yield cast("IO[bytes]", io.BufferedReader(limited, 1 << 18))
    except OSError as error:
        if not kind or error.errno is not None:
            raise unreadable(path, error) from error
        raise _damaged(path, error) from error
    except _DAMAGED as error:
        raise _damaged(path, error) from error


def compression(path: Path) -> str:
    """Return the compression that the first bytes tell, or nothing.

    Raises:
        DataError: The file is missing, no regular file, or may not be read.
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            start = file.read(8)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    return compression_of(start)


def compression_of(start: bytes) -> str:
    """Return the compression that first bytes tell, or nothing."""
    return next((name for magic, name in _COMPRESSED.items() if start.startswith(magic)), "")


@contextmanager
def damage(where: str) -> Iterator[None]:
    """Turn what decompression raises into an error.

    Raises:
        DataError: The compressed content is damaged.
    """
    try:
        yield
    except _DAMAGED as error:
        raise _damaged(where, error) from error


def require_regular(path: Path) -> None:
    """Refuse to open what may never end, or never begin: devices, pipes and sockets.

    Raises:
        DataError: It is no regular file.
        OSError: It is missing or may not be looked at.
        ValueError: It is no path.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a socket"
        raise DataError(f"this is {what}, not a file", where=str(path), fix="give a regular file")


def read_bytes(path: Path) -> bytes:
    """Return the content of a file that has one text.

    Raises:
        DataError: It is missing, no regular file, may not be read, or is longer than 64 MiB.
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            content = file.read(MAX_TEXT + 1)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if len(content) > MAX_TEXT:
        raise DataError("text is longer than 64 MiB", where=str(path))
    return content


def head(path: Path, size: int) -> bytes:
    """Return the first bytes of the decompressed content.

    Raises:
        DataError: As :func:`opened`.
    """
    with opened(path) as stream:
        return stream.read(size)


def refuse_other_kinds(path: Path, start: bytes) -> None:
    """Refuse what is no table, by its first bytes.

    Raises:
        DataError: It is empty, an archive, a document or another binary file.
    """
    where = str(path)
    if not start.strip():
        raise DataError("the file is empty", where=where, fix="give a table of texts and labels")
    if start.startswith(b"PK\x03\x04"):
        if b"[Content_Types].xml" in start or b"xl/" in start or path.suffix == ".xlsx":
            raise DataError("this is an Excel or other Office file", where=where, fix=_SAVE_AS_CSV)
        raise DataError("this is a ZIP archive", where=where, fix="unpack it and give the file")
    for magic, name, fix in _OTHERS:
        if start.startswith(magic):
            raise DataError(f"this is {name}", where=where, fix=fix)
    if is_tar(start):
        raise DataError(
            "this is an archive of several files", where=where, fix="unpack it, give the folder"
        )


def is_tar(start: bytes) -> bool:
    """Return whether the content is a tar archive."""
    return start[257:262] == b"ustar"


def looks_binary(start: bytes) -> bool:
    """Return whether bytes that are no UTF-16 are no text either: many control characters."""
    control = sum(
        start.count(bytes([n])) for n in range(32) if n not in (7, 8, 9, 10, 11, 12, 13, 27)
    )
    return control > max(1, len(start) // 50)


class _Limited(io.RawIOBase):
    """A stream that may give so many bytes and no more, and is read forward."""

    def __init__(self, stream: IO[bytes], longest: int, path: Path) -> None:
        self._stream = stream
        self._longest = longest
        self._path = path
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        content = self._stream.read(len(view))
        view[: len(content)] = content
        self._at += len(content)
        if self._at > self._longest:
            raise DataError(
                f"compressed content is more than {_MAX_RATIO} times as long as the file",
                where=str(self._path),
                fix="unpack it, and give the result if it is what it should be",
            )
        return len(content)

    def seek(self, target: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            target += self._at
        elif whence != io.SEEK_SET:
            raise io.UnsupportedOperation("the end of compressed content is not known")
        if target < self._at:
            self._at = self._stream.seek(target)
        while self._at < target and self.readinto(bytearray(min(1 << 18, target - self._at))):
            pass
        return self._at


def decompressed(file: IO[bytes], kind: str) -> IO[bytes]:
    """Return the decompressed content of a file; ``kind`` is as :func:`compression` returns it."""
    if kind == "gzip":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb"))
    if kind == "bzip2":
        return bz2.BZ2File(file)
    if kind == "xz":
        return lzma.LZMAFile(file)
    if kind == "zstd":
        from zoo_text.tables.zstd import ZstdFile

        return io.BufferedReader(ZstdFile(file), 1 << 20)
    return file


def _damaged(path: Path | str, error: BaseException) -> DataError:
    return DataError(
        "compressed file is damaged or cut short",
        where=str(path),
        why=str(error),
        fix="fetch or compress it again",
    )


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder.

    Raises:
        DataError: It may not be looked at.
    """
    try:
        return path.is_dir()
    except OSError as error:
        raise unreadable(path, error) from error
