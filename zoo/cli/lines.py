"""Lines of stdin as texts: in bounded memory, and each one as soon as it is there."""

from __future__ import annotations

import io
import select
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import cast

import click

from zoo.errors import DataError, UsageError

LONGEST_LINE = 1 << 24
"""Bytes of a line; a longer one is refused."""

BLOCK_BYTES = 1 << 20
PATIENCE_SECONDS = 0.05


class Lines:
    """The lines of stdin, as :class:`zoo.prediction.ArrivingTexts`; read once.

    Attributes:
        failure: Why the lines ended, where it is not their end: one is not UTF-8 or too long.

    Raises:
        UsageError: stdin is closed.
    """

    def __init__(self) -> None:
        if sys.stdin is None:
            raise UsageError("no text", fix="give it as an argument or on stdin")
        if sys.stdin.isatty():
            click.echo("waiting for texts, one a line; Ctrl-D ends", err=True)
        self.failure: DataError | None = None
        self._input = cast("io.BufferedReader", sys.stdin.buffer)
        self._lines: deque[bytes] = deque()
        self._rest = bytearray()
        self._ended = False
        self._number = 0
        self._waited = 0.0

    def __iter__(self) -> Iterator[str]:
        from zoo.data.text import decode

        while self._fill():
            self._number += 1
            where = f"stdin, line {self._number}"
            line = self._lines.popleft()
            try:
                if len(line) > LONGEST_LINE:
                    raise DataError(
                        "line is too long",
                        where=where,
                        why=f"it has more than {LONGEST_LINE} bytes",
                    )
                yield decode(line, where).rstrip("\r\n")
            except DataError as error:
                self.failure = error
                return

    def ready(self) -> bool:
        """Return whether a line, or the end, is there; it waits for 0.05 s in all."""
        while not (self._lines or self._ended):
            before = time.monotonic()
            left = PATIENCE_SECONDS - self._waited
            if left <= 0 or not self._is_readable(left):
                self._waited = 0.0
                return False
            self._waited += time.monotonic() - before
            self._read()
        return True

    def _fill(self) -> bool:
        """Wait for a line, with all answers written; return whether there is one."""
        while not (self._lines or self._ended):
            if not self._is_readable(0):
                sys.stdout.flush()
            self._read()
        return bool(self._lines)

    def _is_readable(self, seconds: float) -> bool:
        """Return whether reading would not block; True where the system cannot tell."""
        try:
            return bool(select.select([self._input], [], [], seconds)[0])
        except (OSError, ValueError, io.UnsupportedOperation):
            return True

    def _read(self) -> None:
        """Read what is there, a block at most."""
        block = self._input.read1(BLOCK_BYTES)
        first, *others = block.split(b"\n")
        self._rest += first
        if others:
            self._lines.append(bytes(self._rest))
            self._lines.extend(others[:-1])
            self._rest = bytearray(others[-1])
        # The rest of a line that is too long is not read.
        self._ended = not block or len(self._rest) > LONGEST_LINE
        if self._ended and self._rest:
            self._lines.append(bytes(self._rest))
