"""What a process writes to a terminal that a test has opened."""

from __future__ import annotations

import os


def read_terminal(outer: int) -> bytes:
    """Return all that is written to a terminal until its other end is closed."""
    found = b""
    try:
        while part := os.read(outer, 4096):
            found += part
    except OSError:  # The other end is closed.
        pass
    return found
