"""Runs parts of a computation in torch's own threads."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def run_in_threads(function: Callable[[int], None], num_threads: int) -> None:
    """Call ``function`` with 0, 1, ... below ``num_threads``, in parallel; it must release the GIL.

    On Linux it runs in the threads of torch's OpenMP library (libgomp): after an operation of torch
    they spin for milliseconds, and would take the processors away from other threads.
    """
    if num_threads == 1:
        function(0)
        return
    openmp = _openmp()
    if openmp is None:
        with ThreadPoolExecutor(num_threads) as pool:
            list(pool.map(function, range(num_threads)))
        return
    failures: list[BaseException] = []
    done: list[int] = []

    def callback(_: object) -> None:
        try:
            # OpenMP may grant fewer threads than asked for.
            first, step = openmp.omp_get_thread_num(), openmp.omp_get_num_threads()
            for thread in range(first, num_threads, step):
                function(thread)
                done.append(thread)
        except BaseException as error:  # noqa: BLE001  # C cannot pass an exception on.
            failures.append(error)

    openmp.GOMP_parallel(_Callback(callback), None, num_threads, 0)
    if failures:
        raise failures[0]
    if len(done) < num_threads:
        # Ctrl-C came before the first line of a callback, where ctypes drops the exception.
        raise KeyboardInterrupt


@cache
def _openmp() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        # The library that torch has loaded; the threads of another one would compete with torch's.
        library = ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD)
    except OSError:
        return None
    return library if hasattr(library, "GOMP_parallel") else None
