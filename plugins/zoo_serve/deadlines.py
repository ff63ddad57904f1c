"""Time limits of many things that wait: with one timer, since each would take longer to set."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any


class Deadlines:
    """Lets futures fail that have no result in time.

    Args:
        seconds: The time that each has.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, future: asyncio.Future[Any]) -> None:
        """Let a future fail with ``TimeoutError`` when its time is up."""
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        self._waiting.append((loop.time() + self._seconds, future))
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._expire)

    def close(self) -> None:
        """Forget all of them."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        while self._waiting:
            deadline, future = self._waiting[0]
            if not future.done():
                if deadline > loop.time():
                    self._timer = loop.call_at(deadline, self._expire)
                    return
                future.set_exception(TimeoutError())
            self._waiting.popleft()
