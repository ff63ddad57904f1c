"""Texts of many requests, computed together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zoo_serve.deadlines import Deadlines
from zoo_serve.errors import Refused

MOST_TEXTS = 1024
MOST_CHARACTERS = 1 << 20
"""Of a batch: it is computed at once, in bounded memory and time."""

WAITING_CHARACTERS = 1 << 26

FURTHER_TEXTS = 16
FURTHER_SECONDS = 0.02
"""Texts that have to wait, or how long one of them, before a batch is begun beside another one:
small batches cost more for each text."""

Operation = tuple[str, str]
"""What is done with texts, and its argument: ``("explain", "pos")``. Equal ones are batched."""

Compute = Callable[[Operation, list[str]], Awaitable[Sequence[Any]]]


class WorkerError(Exception):
    """What computes has ended by itself: nothing more can be computed."""


@dataclass(frozen=True, slots=True)
class _Job:
    """The texts of a request, and where their results go."""

    operation: Operation
    texts: list[str]
    characters: int
    arrived: float
    future: asyncio.Future[list[Any]]


class Batcher:
    """A queue of texts, computed in batches by an event loop.

    A batch has what waits when it begins, up to a bound. Nothing waits for a batch to fill: under
    load batches grow by themselves, and without it a text is computed at once.

    Args:
        compute: Returns a result for each text.
        most_batches: Batches that are computed at the same time.
        most_waiting: Texts that may wait.
        timeout: Seconds within which a request needs its results.
        on_batch: Is told the operation and the number of texts of every batch.
    """

    def __init__(
        self,
        compute: Compute,
        most_batches: int,
        most_waiting: int,
        timeout: float,
        on_batch: Callable[[Operation, int], None] = lambda operation, texts: None,
    ) -> None:
        self._compute = compute
        self._most_batches = most_batches
        self._most_waiting = most_waiting
        self._deadlines = Deadlines(timeout)
        self._on_batch = on_batch
        self._jobs: deque[_Job] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._soon: asyncio.Handle | None = None
        self._later: asyncio.TimerHandle | None = None
        self._closed = False
        self.waiting = 0
        self._waiting_characters = 0

    @property
    def running(self) -> int:
        """How many batches are being computed."""
        return len(self._running)

    async def close(self) -> None:
        """Take no further texts; what waits and what is computed is cancelled."""
        self._closed = True
        self._deadlines.close()
        for handle in (self._soon, self._later):
            if handle is not None:
                handle.cancel()
        for job in self._jobs:
            job.future.cancel()
        self._jobs.clear()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def submit(self, operation: Operation, texts: list[str]) -> list[Any]:
        """Return the results of the texts, in order.

        Raises:
            Refused: Too many texts wait already.
            WorkerError: Nothing can be computed any more.
            TimeoutError: The results took too long.
        """
        characters = sum(map(len, texts))
        full = self.waiting and (
            self.waiting + len(texts) > self._most_waiting
            or self._waiting_characters + characters > WAITING_CHARACTERS
        )
        if full or self._closed:
            raise Refused(503, "queue_full", "too many texts wait for this model", retry_after=1)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        self._deadlines.add(future)
        self._jobs.append(_Job(operation, texts, characters, loop.time(), future))
        self.waiting += len(texts)
        self._waiting_characters += characters
        if self._running and self.waiting < FURTHER_TEXTS:
            self._look_later(FURTHER_SECONDS)
        elif self._soon is None:
            # After the other requests that have arrived by now.
            self._soon = loop.call_soon(self._start_batches)
        return await future

    def _look_later(self, seconds: float) -> None:
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(seconds, self._start_batches)

    def _start_batches(self) -> None:
        """Start the batches that may be computed now."""
        self._soon = None
        if self._later is not None:
            self._later.cancel()
            self._later = None
        loop = asyncio.get_running_loop()
        while self._jobs and len(self._running) < self._most_batches:
            waited = loop.time() - self._jobs[0].arrived
            if self._running and self.waiting < FURTHER_TEXTS and waited < FURTHER_SECONDS:
                self._look_later(FURTHER_SECONDS - waited)
                return
            if jobs := self._next_batch():
                self._running.add(loop.create_task(self._run(jobs)))

    async def _run(self, jobs: list[_Job]) -> None:
        """Compute a batch and hand out its results."""
        try:
            for job, result in zip(jobs, await self._results(jobs), strict=True):
                if job.future.done():
                    continue
                if isinstance(result, Exception):
                    job.future.set_exception(result)
                else:
                    job.future.set_result(result)
        finally:
            for job in jobs:
                job.future.cancel()  # Of those that have no result.
            self._running.discard(asyncio.current_task())
            if not self._closed:
                self._start_batches()

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
            if job.future.done():  # Its client has gone, or its time is up.
                continue
            batch.append(job)
            texts += len(job.texts)
            characters += job.characters
        return batch

    async def _results(self, jobs: list[_Job]) -> list[list[Any] | Exception]:
        """Compute a batch; where it fails, each of its jobs alone: one text may be at fault."""
        operation = jobs[0].operation
        texts = [text for job in jobs for text in job.texts]
        self._on_batch(operation, len(texts))
        try:
            found = await self._compute(operation, texts)
            if len(found) != len(texts):
                raise RuntimeError(f"{len(found)} results of {len(texts)} texts")
        except WorkerError as error:
            return [error] * len(jobs)
        except Exception as error:  # noqa: BLE001 - raised where the result is awaited
            if len(jobs) == 1:
                return [error]
            return [result for job in jobs for result in await self._results([job])]
        results: list[list[Any] | Exception] = []
        start = 0
        for job in jobs:
            results.append(list(found[start : start + len(job.texts)]))
            start += len(job.texts)
        return results
