"""Locks of the processes that share a sweep; the system releases those of one that ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from zoo.errors import DiskError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a sweep: other processes of it wait. It is held for milliseconds.

    Raises:
        DiskError: The folder cannot be written.
    """
    lock = FileLock(folder / ".sweep.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise DiskError("cannot lock", where=str(folder), why=str(error)) from error
    try:
        yield
    finally:
        lock.release()


def lock_trial(folder: Path) -> FileLock | None:
    """Return the lock of a trial, acquired; None where another process trains it.

    Raises:
        DiskError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Two of a process exclude each other as well: no lock is shared.
        lock = FileLock(folder / ".trial.lock", blocking=False, is_singleton=False)
        lock.acquire()
    except Timeout:
        return None
    except OSError as error:
        raise DiskError("cannot lock", where=str(folder), why=str(error)) from error
    return lock
