"""Zstandard streams, which need an extra."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING

from zoo.errors import DataError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class ZstdFile(io.RawIOBase):
    """The decompressed content of a file; unlike zstandard's own reader, a cut file is an error.

    Raises:
        DataError: The package zstandard is missing.
    """

    def __init__(self, file: IO[bytes]) -> None:
        try:
            import zstandard
        except ImportError as error:
            raise DataError(
                "reading .zst needs the package zstandard", fix="pip install 'seqzoo[tables]'"
            ) from error
        self._file = file
        self._new = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj
        self._error = zstandard.ZstdError
        self._frame = self._new()
        self._ready = b""
        self._started = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        while not self._ready:
            if self._frame.eof:
                rest = self._frame.unused_data or self._file.read(1 << 14)
                if not rest:
                    return 0
                self._frame, self._started = self._new(), False
            else:
                rest = self._file.read(1 << 14)
                if not rest:
                    raise EOFError("it ends within a frame")
            self._started = True
            try:
                self._ready = self._frame.decompress(rest)
            except self._error as error:
                raise EOFError(str(error)) from error
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
