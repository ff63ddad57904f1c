"""Texts in a tar archive, read as a stream."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from zoo.errors import DataError
from zoo_text.tables.streams import MAX_TEXT, opened

# Files of an archive: ten times as many as IMDb's have.
MAX_FILES = 1_000_000
# Bytes that the header of a file in an archive may have: names of 4,096, and some more.
_MAX_HEADER = 1 << 15


class _Bounded:
    """An archive that refuses to read much at once, as a damaged header may ask for."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header asks for {size:,} bytes")
        return self._stream.read(size)


def read_archive(path: Path, is_wanted: Callable[[str], object]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the files of a tar archive, read as a stream, never unpacked.

    Args:
        path: The archive, compressed or not.
        is_wanted: Whether a file of this name is read.

    Raises:
        DataError: The archive is damaged, has more than a million files, or one that is wanted is
            a link, has holes or is longer than 64 MiB.
    """
    try:
        with opened(path) as stream:
            # tarfile only calls these three methods.
            bounded: IO[bytes] = _Bounded(stream)  # type: ignore[assignment]
            with tarfile.open(fileobj=bounded, mode="r:") as archive:
                yield from _members(archive, path, is_wanted)
                end = archive.offset
            # tarfile takes anything but a header for the end of the archive. The end is a block of
            # zeros, and the checksum of the compression comes after it.
            stream.seek(end)
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise EOFError(f"no file and no end at offset {end}")
            while stream.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise DataError(
            "archive is damaged or cut short",
            where=str(path),
            why=str(error),
            fix="fetch it again",
        ) from error


def _members(
    archive: tarfile.TarFile, path: Path, is_wanted: Callable[[str], object]
) -> Iterator[tuple[str, bytes]]:
    count = 0
    while member := archive.next():
        # tarfile would keep all of them.
        archive.members.clear()  # type: ignore[attr-defined]
        count += 1
        if count > MAX_FILES:
            raise DataError(f"more than {MAX_FILES:,} files", where=str(path))
        if not is_wanted(member.name):
            continue
        where = f"{path}, {member.name}"
        if not member.isreg() or member.issparse():
            raise DataError("this is a link, a device or a file with holes", where=where)
        if member.size > MAX_TEXT:
            raise DataError("text is longer than 64 MiB", where=where, why=f"{member.size:,} bytes")
        file = archive.extractfile(member)
        assert file is not None
        yield member.name, b"".join(iter(partial(file.read, _MAX_HEADER), b""))
