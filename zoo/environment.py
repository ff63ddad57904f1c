"""The process under the arithmetic: device, threads, and settings that are worth a factor of two.

This is the one place that changes settings of the process, but for the threads of NumPy
(:mod:`zoo.blas`). The command line calls :func:`set_up_process` once. Python programs are left as
they are: :func:`computing` sets threads and denormal handling for the duration of a training, an
evaluation or a prediction and restores them. torch is imported by what needs it: where answers are
computed without it, none of its settings are made.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import gc
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zoo.errors import UsageError
from zoo.launch import Launch, launch

if TYPE_CHECKING:
    import torch

_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD, _M_ARENA_MAX = -3, -1, -8
_RETAINED_BYTES = 1 << 30
_PROCESS = os.getpid()


def choose_device(name: str = "auto") -> torch.device:
    """Return a device.

    Args:
        name: ``auto``, or a device as torch names it: ``cpu``, ``cuda``, ``cuda:1`` ... Of several
            processes each has the CUDA device of its local rank.

    Raises:
        UsageError: There is no such device.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and (here := launch()).size > 1:
        name = _of_local_rank(name, here)
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"no device {name!r}", why=str(error).splitlines()[0]) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "no CUDA device", why="torch finds none on this machine", fix="use --device cpu"
        )
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        raise UsageError(f"no device {name!r}", why=str(error).splitlines()[0]) from error
    return device


def _of_local_rank(name: str, here: Launch) -> str:
    import torch

    if name not in ("cuda", f"cuda:{here.local_rank}"):  # The second is what this returns.
        raise UsageError(
            f"{name} is one device for {here.size} processes", fix="use --device cuda, or cpu"
        )
    if torch.cuda.is_available() and here.local_rank >= torch.cuda.device_count():
        raise UsageError(
            f"no CUDA device for process {here.local_rank} of this machine",
            why=f"it has {torch.cuda.device_count()}",
            fix="start as many processes on a machine as it has devices",
        )
    return f"cuda:{here.local_rank}"


def num_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """Return the processors that this process may use, shared with those that torchrun started."""
    return max(1, num_processors() // launch().local_size)


def torch_is_installed() -> bool:
    """Return whether torch can be imported; it is not."""
    return importlib.util.find_spec("torch") is not None


def torch_is_imported() -> bool:
    """Return whether this process has imported torch, and so may compute with it."""
    return sys.modules.get("torch") is not None


def may_have_gpu() -> bool:
    """Return whether a driver of a GPU is there; torch, which knows, takes long to import."""
    if sys.platform != "linux":
        return sys.platform == "win32"  # On macOS torch has no CUDA.
    return any(os.path.exists(f"/dev/{name}") for name in ("nvidiactl", "kfd", "dxg"))  # noqa: PTH110


def set_up_process(threads: int = 0, *, torch_computes: bool = True) -> None:
    """Set this process up for arithmetic, as a command of ``zoo`` does.

    Args:
        threads: Threads of torch; 0: :func:`default_threads`.
        torch_computes: Whether torch is used; its settings are not made otherwise.
    """
    retain_memory()
    # What is loaded by now stays; the garbage collector need not traverse it again and again.
    gc.freeze()
    if not torch_computes:
        return
    import torch

    _flush_denormals(True)
    torch.set_num_threads(threads or default_threads())


@contextmanager
def computing(threads: int | None = None) -> Iterator[None]:
    """Compute as the command line does, and restore the settings of the process afterwards.

    Denormal numbers are flushed to zero: vanishing gradients are denormal, and a processor is four
    times slower with them.

    Args:
        threads: Threads of torch; 0: :func:`default_threads`; None: as many as are set. One in a
            process that was forked.
    """
    if not torch_is_imported():
        yield
        return
    import torch

    use_one_thread_if_forked()
    if os.getpid() != _PROCESS:
        threads = None
    before, flushed = torch.get_num_threads(), _flushes_denormals()
    # Worker threads inherit the setting when they are started, so it comes first.
    _flush_denormals(True)
    if threads is not None:
        torch.set_num_threads(threads or default_threads())
    try:
        yield
    finally:
        _flush_denormals(flushed)
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def use_one_thread_if_forked() -> None:
    """Let torch compute with one thread in a process that was forked since zoo was imported.

    Threads are not inherited, and OpenMP would wait for them for ever. torch does the same in the
    processes of a data loader.
    """
    if os.getpid() != _PROCESS and torch_is_imported():
        import torch

        torch.set_num_threads(1)


def retain_memory() -> None:
    """Let glibc retain freed memory instead of returning it to the system.

    A training step frees and allocates the same few large blocks again. By default each is mapped
    anew, and its first use costs a page fault every 4 KiB, which is half of the time of a step.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.util.find_library("c")
    mallopt = getattr(ctypes.CDLL(library), "mallopt", None) if library else None
    if mallopt is not None:  # musl has none, and needs none.
        mallopt(_M_MMAP_THRESHOLD, _RETAINED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _RETAINED_BYTES)
        # One arena: memory that one thread freed can be used by another.
        mallopt(_M_ARENA_MAX, 1)


def facts() -> dict[str, str]:
    """Return what a bug report needs to say of the machine, by name."""
    import torch

    return {
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "processor": _processor(),
        "processors": str(num_processors()),
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "not available",
    }


def versions() -> dict[str, str]:
    """Return the versions that what is computed depends on; written into files."""
    import numpy as np
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - no path of ours
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _flush_denormals(on: bool) -> None:
    import torch

    torch.set_flush_denormal(on)


def _flushes_denormals() -> bool:
    """Return whether denormal numbers are flushed now; torch has no function that tells."""
    import torch

    return float(torch.tensor(1e-310, dtype=torch.float64) * 1.0) == 0.0
