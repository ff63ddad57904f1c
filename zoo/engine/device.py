"""The machine under the training loop: device, threads, and settings worth a factor of two."""

from __future__ import annotations

import ctypes
import ctypes.util
import gc
import os
import sys

import torch

from zoo.errors import UsageError

_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD, _M_ARENA_MAX = -3, -1, -8
_KEEP_BYTES = 1 << 30


def choose(name: str, threads: int = 0) -> torch.device:
    """Return the device to run on and set this process up for it.

    Args:
        name: ``auto``, ``cpu`` or ``cuda``.
        threads: Threads for arithmetic; 0: one a processor that this process may use.

    Raises:
        UsageError: ``cuda`` was asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "no CUDA device", why="torch finds none on this machine", fix="use --device cpu"
        )
    keep_memory()
    # What is loaded by now stays. Python would look it through for garbage again and again.
    gc.freeze()
    # Vanishing gradients end as denormal numbers, which slow a processor down fourfold. Worker
    # threads inherit the setting, so it comes before the first of them.
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads or processors())
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def keep_memory() -> None:
    """Let glibc keep freed blocks instead of handing them back to the system.

    A step of training frees and takes the same few large blocks again. By default each is mapped
    anew, and its first touch is a page fault every 4 KiB, which is half of the time of a step.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.util.find_library("c")
    mallopt = getattr(ctypes.CDLL(library), "mallopt", None) if library else None
    if mallopt is not None:  # musl has none, and needs none.
        mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)
        # What one thread freed another can use.
        mallopt(_M_ARENA_MAX, 1)


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
