"""Locks between processes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import ZooWarning

# Seconds after which it is said that another process is waited for.
NOTICE_SECONDS = 1.0


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold a lock; where another process has it, a warning says so once, and its end is awaited.

    Args:
        path: The lock file.
        what: What the other process may be doing, such as ``downloads book``.

    Raises:
        OSError: The lock file cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=NOTICE_SECONDS)
    except Timeout:
        warnings.warn(
            f"waiting for another process that {what} (lock {path})", ZooWarning, stacklevel=4
        )
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
