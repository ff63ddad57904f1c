"""How processes find each other anew in a store that remembers earlier attempts.

The store of ``torchrun`` outlives the processes that it starts again. What they wrote into it, such
as addresses, must not be taken for that of the processes which follow them.
"""

from __future__ import annotations

import time
import uuid
from typing import Protocol

_POLL = 0.02  # Seconds.


class Store(Protocol):
    """What is used of a store of torch.distributed."""

    def set(self, key: str, value: str, /) -> None:
        """Store a value."""
        ...

    def get(self, key: str, /) -> bytes:
        """Return a value that is there."""
        ...

    def check(self, keys: list[str], /) -> bool:
        """Return whether all keys are there."""
        ...

    def add(self, key: str, value: int, /) -> int:
        """Add to a number, from 0, and return the sum."""
        ...


def meet(store: Store, rank: int, size: int, seconds: float) -> int:
    """Return a number that those who meet now have in common, and nobody before them had.

    Each process writes a token of its own; process 0 answers it with the number, and waits until
    all have confirmed theirs.

    Args:
        store: That of the processes.
        rank: The number of this process.
        size: How many there are.
        seconds: How long they wait.

    Raises:
        TimeoutError: Not all have come; the message says who is missing.
    """
    ends = time.monotonic() + seconds
    if rank:
        token = uuid.uuid4().hex
        store.set(f"hello {rank}", token)
        while not (answer := _read(store, f"welcome {rank}")).startswith(token):
            _wait(ends, "process 0 has not come")
        store.set(f"ready {rank}", answer)
        return int(answer.rpartition(" ")[2])
    number = store.add("trainings", 1)
    missing = list(range(1, size))
    while missing:
        for other in list(missing):
            if token := _read(store, f"hello {other}"):
                answer = f"{token} {number}"
                store.set(f"welcome {other}", answer)
                if _read(store, f"ready {other}") == answer:
                    missing.remove(other)
        if missing:
            _wait(ends, f"of processes 0 to {size - 1} there is no {', '.join(map(str, missing))}")
    return number


def _read(store: Store, key: str) -> str:
    return store.get(key).decode() if store.check([key]) else ""


def _wait(ends: float, why: str) -> None:
    if time.monotonic() > ends:
        raise TimeoutError(why)
    time.sleep(_POLL)
