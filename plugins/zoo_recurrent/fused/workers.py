"""A share of the work for each of torch's own threads."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

_Body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def each(work: Callable[[int], None], workers: int) -> None:
    """Call ``work`` with 0, 1, ... below ``workers``, all at once; it has to release the GIL.

    On Linux in the threads of the OpenMP that torch runs on (libgomp): after an operation they spin
    for milliseconds, and would take the processors away from any others.
    """
    if workers == 1:
        work(0)
        return
    openmp = _openmp()
    if openmp is None:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(workers)))
        return
    failures: list[BaseException] = []
    done: list[int] = []

    def share(_: object) -> None:
        try:
            # The system may grant fewer threads than asked for.
            first, threads = openmp.omp_get_thread_num(), openmp.omp_get_num_threads()
            for worker in range(first, workers, threads):
                work(worker)
                done.append(worker)
        except BaseException as error:  # noqa: BLE001  # A callback from C cannot raise it itself.
            failures.append(error)

    openmp.GOMP_parallel(_Body(share), None, workers, 0)
    if failures:
        raise failures[0]
    if len(done) < workers:
        # It came before the first line of a callback, and there ctypes drops it.
        raise KeyboardInterrupt


@cache
def _openmp() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        # The one that torch has loaded; another's threads would be in the way of torch's.
        library = ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD)
    except OSError:
        return None
    return library if hasattr(library, "GOMP_parallel") else None
