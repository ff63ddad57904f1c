"""The standard streams of a command: safe for terminals, and for commands whose reader is gone."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from typing import TYPE_CHECKING, TextIO

from zoo.errors import printable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# How progress bars move the cursor: up, and back to the start of a line.
_CURSOR = re.compile(r"(?:\n|\r|\x1b\[A)+\Z|\r")


def prepare() -> None:
    """Replace ``sys.stdout`` and ``sys.stderr`` where they are those of the process.

    * What was closed leads to ``/dev/null``: a file that is opened later would take its number, and
      what libraries write to stderr would go into it.
    * A character that the encoding lacks is escaped.
    * On a terminal, characters that it would obey are escaped, whatever wrote them.
    * What cannot be written to stderr is dropped: a lost reader of messages ends no training.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # Closed: its number is the lowest one that is free.
            os.open(os.devnull, os.O_RDWR)
    # Closed ones are None; those that a program has replaced are left alone.
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _prepared(sys.stdout, 1)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _prepared(sys.stderr, 2)


def discard_output() -> None:
    """Send what is still unwritten nowhere: Python would complain again on closing stdout."""
    with contextlib.suppress(io.UnsupportedOperation):  # Of a program's own, without a file.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Dropping(io.FileIO):
    """A file that takes whatever is written, also where nothing arrives any more."""

    def write(self, data: ReadableBuffer, /) -> int:
        length = memoryview(data).nbytes
        try:
            written = super().write(data)
        except OSError:
            return length
        return length if written is None else written  # None: it would block.


class _Terminal(io.TextIOWrapper):
    """Text for a terminal; of what a terminal would obey it gets line ends and tabs alone."""

    def write(self, text: str, /) -> int:
        cursor = _CURSOR.match(text)
        moves = cursor.group() if cursor else ""
        super().write(moves + printable(text[len(moves) :], keep="\n\t"))
        return len(text)

    @property
    def unescaped(self) -> io.TextIOBase:
        """The same terminal for those who escape the texts of others, see :mod:`zoo.display`."""
        return _Unescaped(self)


class _Unescaped(io.TextIOBase):
    """A terminal as it is."""

    def __init__(self, terminal: _Terminal) -> None:
        self._terminal = terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._terminal.encoding

    def write(self, text: str, /) -> int:
        return io.TextIOWrapper.write(self._terminal, text)

    def flush(self) -> None:
        self._terminal.flush()

    def fileno(self) -> int:
        return self._terminal.fileno()

    def isatty(self) -> bool:
        return self._terminal.isatty()


def _prepared(stream: TextIO | None, descriptor: int) -> TextIO:
    file = (_Dropping if descriptor == 2 else io.FileIO)(descriptor, "w", closefd=False)
    unbuffered = getattr(stream, "write_through", False)  # python -u
    return (_Terminal if file.isatty() else io.TextIOWrapper)(
        io.BufferedWriter(file),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=descriptor == 2 or file.isatty() or unbuffered,
    )
