"""Texts of many requests, computed together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any

from zoo_serve.errors import Refused

MOST_TEXTS = 1024
MOST_CHARACTERS = 1 << 20
"""Of a batch: it is computed at once, in bounded memory and time."""

WAITING_CHARACTERS = 1 << 26

FURTHER_THREAD = 32
"""Texts that have to wait before a further thread takes a batch: small ones cost more apiece."""

Operation = tuple[str, str]
"""What is done with texts, and its argument: ``("explain", "pos")``. Equal ones are batched."""

Compute = Callable[[Operation, list[str]], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class _Job:
    """The texts of a request, and where their results go."""

    operation: Operation
    texts: list[str]
    characters: int
    future: asyncio.Future[list[Any]]


class Batcher:
    """A queue of texts and the threads that take from it.

    A thread takes what is there, up to a bound, and never waits for more: under load batches grow
    by themselves, and without it a text is answered at once.

    Args:
        compute: Returns a result for each text. It is called by several threads.
        threads: How many.
        most_waiting: Texts that may wait.
        on_batch: Is told the operation and the number of texts of every batch.
    """

    def __init__(
        self,
        compute: Compute,
        threads: int,
        most_waiting: int,
        on_batch: Callable[[Operation, int], None] = lambda operation, texts: None,
    ) -> None:
        self._compute = compute
        self._most_waiting = most_waiting
        self._on_batch = on_batch
        self._jobs: deque[_Job] = deque()
        self._changed = Condition()
        self._closed = False
        self._running = 0
        self.waiting = 0
        self._waiting_characters = 0
        self._threads = [Thread(target=self._work, name="batcher") for _ in range(threads)]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the threads, after the batches that they compute; what waits is cancelled."""
        with self._changed:
            self._closed = True
            self._jobs.clear()
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    async def submit(self, operation: Operation, texts: list[str]) -> list[Any]:
        """Return the results of the texts, in order.

        Raises:
            Refused: Too many texts wait already.
        """
        characters = sum(map(len, texts))
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        with self._changed:
            full = self.waiting and (
                self.waiting + len(texts) > self._most_waiting
                or self._waiting_characters + characters > WAITING_CHARACTERS
            )
            if full or self._closed:
                raise Refused(
                    503, "queue_full", "too many texts wait for this model", retry_after=1
                )
            self._jobs.append(_Job(operation, texts, characters, future))
            self.waiting += len(texts)
            self._waiting_characters += characters
            if self._may_take():
                self._changed.notify()
        return await future

    def _may_take(self) -> bool:
        return bool(self._jobs) and (not self._running or self.waiting >= FURTHER_THREAD)

    def _work(self) -> None:
        while jobs := self._take():
            results = self._results(jobs)
            with self._changed:
                self._running -= 1
            loop = jobs[0].future.get_loop()
            try:
                loop.call_soon_threadsafe(_deliver, jobs, results)
            except RuntimeError:  # The loop has ended, and with it everybody who waited.
                return

    def _take(self) -> list[_Job]:
        """Wait for jobs and return those of the next batch; none when the batcher is closed."""
        with self._changed:
            while not self._closed:
                if not self._may_take():
                    self._changed.wait()
                    continue
                jobs = self._next_batch()
                if jobs:
                    self._running += 1
                    if self._may_take():
                        self._changed.notify()
                    return jobs
        return []

    def _next_batch(self) -> list[_Job]:
        """Take jobs of one operation from the front of the queue, within the bounds of a batch."""
        batch: list[_Job] = []
        texts = characters = 0
        while self._jobs:
            job = self._jobs[0]
            if batch and (
                job.operation != batch[0].operation
                or texts + len(job.texts) > MOST_TEXTS
                or characters + job.characters > MOST_CHARACTERS
            ):
                break
            self._jobs.popleft()
            self.waiting -= len(job.texts)
            self._waiting_characters -= job.characters
            if job.future.cancelled():  # Its client has gone, or its time is up.
                continue
            batch.append(job)
            texts += len(job.texts)
            characters += job.characters
        return batch

    def _results(self, jobs: list[_Job]) -> list[list[Any] | Exception]:
        """Compute a batch; where it fails, each of its jobs alone: one text may be at fault."""
        operation = jobs[0].operation
        texts = [text for job in jobs for text in job.texts]
        self._on_batch(operation, len(texts))
        try:
            found = list(self._compute(operation, texts))
            if len(found) != len(texts):
                raise RuntimeError(f"{len(found)} results of {len(texts)} texts")
        except Exception as error:  # noqa: BLE001 - raised where the result is awaited
            return [error] if len(jobs) == 1 else [self._results([job])[0] for job in jobs]
        results: list[list[Any] | Exception] = []
        start = 0
        for job in jobs:
            results.append(found[start : start + len(job.texts)])
            start += len(job.texts)
        return results


def _deliver(jobs: list[_Job], results: list[list[Any] | Exception]) -> None:
    """Hand results to those who wait, in their event loop: once for a whole batch."""
    for job, result in zip(jobs, results, strict=True):
        if job.future.done():
            continue
        if isinstance(result, Exception):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)
