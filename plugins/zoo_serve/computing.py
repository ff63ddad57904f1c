"""What computes batches: threads of this process, or something that stands in for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from zoo_serve.batching import Operation
from zoo_serve.served import ServedModel


class Computing(Protocol):
    """Computes several batches at the same time.

    Attributes:
        number: How many.
        failure: Why nothing can be computed any more; empty: it can.
    """

    number: int
    failure: str

    async def start(self) -> None:
        """Begin to take batches, in the running event loop."""

    async def compute(self, model: str, operation: Operation, texts: list[str]) -> Sequence[Any]:
        """Return a result for each text.

        Raises:
            WorkerError: Nothing can be computed any more.
        """

    def close(self) -> None:
        """End, and wait until that is done."""


class Threads:
    """Computes in threads of this process.

    Args:
        models: The models by name.
        number: How many threads.
    """

    def __init__(self, models: Mapping[str, ServedModel], number: int) -> None:
        self.number = number
        self.failure = ""
        self._models = models
        self._pool = ThreadPoolExecutor(number, thread_name_prefix="compute")

    async def start(self) -> None:
        """Do nothing: a thread starts when it is needed."""

    async def compute(self, model: str, operation: Operation, texts: list[str]) -> Sequence[Any]:
        """Return a result for each text."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._models[model].compute, operation, texts)

    def close(self) -> None:
        """End the threads, after the batches that they compute."""
        self._pool.shutdown(cancel_futures=True)
