"""Folders that nobody else can write to, for files that are run: as ssh asks of keys."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def make_private(folder: Path) -> str:
    """Make a folder, or make one that is there private; what others may have written is removed.

    Returns:
        Why the folder cannot be used; empty if it can.

    Raises:
        OSError: It cannot be made or read.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name != "posix":
        return ""  # Folders of a user are private to it.
    for path in (folder, *folder.parents):
        found = path.lstat()
        if found.st_uid not in (0, os.geteuid()):
            return f"{path} belongs to another user"
        # In a sticky folder, such as /tmp, nobody can rename what belongs to others; and with a
        # group of one's own, which many systems have, folders are writable by it.
        others = found.st_mode & _WRITABLE_BY_OTHERS
        if others == stat.S_IWGRP and found.st_gid == os.getegid():
            others = 0
        if path != folder and others and not found.st_mode & stat.S_ISVTX:
            return f"others can write to {path}"
    if not _is_private(folder):
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
    folder.chmod(0o700)
    return ""


def _is_private(folder: Path) -> bool:
    """Return whether nobody else can have written what lies in a folder."""
    is_closed = not folder.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    for path in (folder, *folder.rglob("*")):
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or found.st_uid not in (0, os.geteuid()):
            return False
        if found.st_mode & _WRITABLE_BY_OTHERS and not is_closed:
            return False
    return True
