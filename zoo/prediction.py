"""Answers to however many texts: in order, in constant memory, and by several threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from torch import nn

from zoo.interfaces import Prediction, Predicts

# Texts that a task is given at once: what bounds the memory.
CHUNK = 1024


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

    def answered(chunk: list[str]) -> list[Prediction]:
        return list(task.predict(network, chunk))

    pool = ThreadPoolExecutor(threads)
    ahead: deque[Future[list[Prediction]]] = deque()
    try:
        for chunk in chunks:
            ahead.append(pool.submit(answered, chunk))
            if len(ahead) > threads:
                yield from ahead.popleft().result()
        for future in ahead:
            yield from future.result()
    finally:
        pool.shutdown(cancel_futures=True)
