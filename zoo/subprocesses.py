"""Processes that run code of plugins: how much memory they have, and how they are ended."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any


def limit_memory(most: int) -> None:
    """Bound the memory of this process, and leave no memory image where it crashes.

    Args:
        most: Bytes of data; a smaller limit that the process has already stays.
    """
    try:
        import resource
    except ImportError:
        return  # Not on Windows.
    for what, size in ((resource.RLIMIT_DATA, most), (resource.RLIMIT_CORE, 0)):
        soft, hard = resource.getrlimit(what)
        smallest = min([size, *(each for each in (soft, hard) if each >= 0)])
        resource.setrlimit(what, (smallest, hard))


def kill(process: subprocess.Popen[Any]) -> None:
    """End a process that was started in a session of its own, with all that it has started."""
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass  # It has ended.
    process.wait()
