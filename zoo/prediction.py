"""Answers to however many texts: in order, in constant memory, and by several threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from queue import SimpleQueue
from threading import Thread

from torch import nn

from zoo.interfaces import Prediction, Predicts

# Texts that a task is given at once: what bounds the memory.
CHUNK = 1024

_Answers = list[Prediction] | BaseException


def predict(
    task: Predicts, network: nn.Module, texts: Iterable[str], threads: int = 1
) -> Iterator[Prediction]:
    """Yield the answer to each text, in order; ``threads + 1`` chunks of texts are read ahead.

    Args:
        task: Answers a chunk at a time.
        network: A trained network of the task, in evaluation mode.
        texts: Any number of them.
        threads: How many chunks are answered side by side, each with torch's threads.
    """
    rest = iter(texts)
    chunks = iter(lambda: list(islice(rest, CHUNK)), [])
    if threads == 1:
        for chunk in chunks:
            yield from task.predict(network, chunk)
        return

    # An executor's locks are Python's: Ctrl-C while one is taken leaves it taken for ever.
    waiting: SimpleQueue[tuple[list[str], SimpleQueue[_Answers]] | None] = SimpleQueue()

    def work() -> None:
        while (taken := waiting.get()) is not None:
            chunk, place = taken
            try:
                place.put(list(task.predict(network, chunk)))
            except BaseException as error:  # noqa: BLE001  # Raised where answers are awaited.
                place.put(error)

    ahead: deque[SimpleQueue[_Answers]] = deque()
    workers: list[Thread] = []
    try:
        for _ in range(threads):
            worker = Thread(target=work, name="predict", daemon=True)
            worker.start()
            workers.append(worker)
        for chunk in chunks:
            ahead.append(SimpleQueue())
            waiting.put((chunk, ahead[-1]))
            if len(ahead) > threads:
                yield from _first(ahead)
        while ahead:
            yield from _first(ahead)
    finally:
        for _ in range(threads):
            waiting.put(None)
        for worker in workers:
            worker.join()


def _first(ahead: deque[SimpleQueue[_Answers]]) -> list[Prediction]:
    answers = ahead.popleft().get()
    if isinstance(answers, BaseException):
        raise answers
    return answers
