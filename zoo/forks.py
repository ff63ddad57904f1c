"""Forks wait for the predictions of other threads.

A forked process has the memory of this one and only the thread that forked. A lock that another
thread holds at that moment is never released there: those of torch's matrix libraries cannot be
made anew, so a fork waits until no thread holds them.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import AbstractContextManager
from threading import Condition, get_ident

# Seconds. A computation may itself wait for the thread that forks.
_LONGEST_WAIT = 30


class _Computations:
    """Counts the computations of each thread; a fork waits for those of other threads.

    Computations that begin meanwhile wait for the fork. A thread that forks computes nothing.
    """

    def __init__(self) -> None:
        self._set_up()
        self._registered = False

    def _set_up(self) -> None:
        self._changed = Condition()
        self._of_thread: Counter[int] = Counter()
        self._forking: set[int] = set()

    def __enter__(self) -> None:
        thread = get_ident()
        with self._changed:
            if not self._registered and hasattr(os, "register_at_fork"):
                os.register_at_fork(
                    before=self._wait,
                    after_in_parent=self._continue,
                    after_in_child=self._set_up,
                )
            self._registered = True
            self._changed.wait_for(lambda: not self._forking or self._of_thread[thread])
            self._of_thread[thread] += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._of_thread[get_ident()] -= 1
            self._of_thread = +self._of_thread  # Only threads that compute.
            self._changed.notify_all()

    def _wait(self) -> None:
        with self._changed:
            self._forking.add(get_ident())
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._of_thread.keys() <= self._forking, _LONGEST_WAIT)

    def _continue(self) -> None:
        with self._changed:
            self._forking.discard(get_ident())
            self._changed.notify_all()


_COMPUTATIONS = _Computations()


def delay_forks() -> AbstractContextManager[None]:
    """Let a fork wait until the ``with`` block of every other thread has ended.

    It waits 30 seconds at most.
    """
    return _COMPUTATIONS
