"""How many threads NumPy's matrix products use."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


class _OneThread:
    """One thread for as long as any caller needs it; then as many as before.

    The number is that of the process: a caller that restored it when it is done would give threads
    to those that are not.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._callers = 0
        self._restore = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._callers:
                self._restore.enter_context(_openblas().limit(limits=1))
            self._callers += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._callers -= 1
            if not self._callers:
                self._restore.close()


_ONE_THREAD = _OneThread()


def one_blas_thread() -> AbstractContextManager[None]:
    """Let NumPy compute matrix products with the thread that asks for them, in a ``with`` block.

    The products of a prediction are small. OpenBLAS would share them with threads that wait for the
    next one by spinning, on processors that other predictions need: it takes 1.4 times as long.
    Other libraries are left alone, such as MKL, whose threads are torch's.
    """
    return _ONE_THREAD


@cache
def _openblas() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(internal_api="openblas")
