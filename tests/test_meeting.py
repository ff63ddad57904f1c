"""Processes that meet in a store which remembers earlier attempts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest

from zoo.engine.meeting import meet


class Memory:
    """A store in memory."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._lock = Lock()

    def set(self, key: str, value: str, /) -> None:
        self.values[key] = value

    def get(self, key: str, /) -> bytes:
        return self.values[key].encode()

    def check(self, keys: list[str], /) -> bool:
        return all(key in self.values for key in keys)

    def add(self, key: str, value: int, /) -> int:
        with self._lock:
            self.values[key] = str(int(self.values.get(key, "0")) + value)
            return int(self.values[key])


def numbers(store: Memory, size: int) -> list[int]:
    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(lambda rank: meet(store, rank, size, 10), range(size)))


def test_each_attempt_has_a_number_of_its_own_also_with_another_number_of_processes() -> None:
    store = Memory()
    assert [numbers(store, size) for size in (4, 4, 2, 3)] == [[1] * 4, [2] * 4, [3] * 2, [4] * 3]


def test_what_an_attempt_has_left_is_not_taken_for_its_successor() -> None:
    store = Memory()
    with pytest.raises(TimeoutError, match="of processes 0 to 2 there is no 1, 2"):
        meet(store, 0, 3, 0.05)
    with pytest.raises(TimeoutError, match="process 0 has not come"):
        meet(store, 1, 3, 0.05)
    assert numbers(store, 3) == [2, 2, 2]
