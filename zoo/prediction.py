"""Predictions of any number of texts: in order, in constant memory, by several threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from queue import SimpleQueue
from threading import Thread

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from zoo.environment import computing
from zoo.interfaces import Embeds, Prediction, Predicts

# Texts that a task is given at once, which bounds the memory.
CHUNK = 1024

_Result = list[Prediction] | BaseException


def predict(
    task: Predicts, network: nn.Module, texts: Iterable[str], threads: int = 1
) -> Iterator[Prediction]:
    """Yield the prediction of each text, in order; ``threads + 1`` chunks of texts are read ahead.

    Args:
        task: Predicts a chunk at a time.
        network: A trained network of the task, in evaluation mode.
        texts: Any number of them.
        threads: How many chunks are predicted at the same time, each with torch's threads.
    """
    rest = iter(texts)
    chunks = iter(lambda: list(islice(rest, CHUNK)), [])
    if threads == 1:
        for chunk in chunks:
            with computing():
                predictions = list(task.predict(network, chunk))
            yield from predictions
        return

    # Not an executor: its locks are Python's, and Ctrl-C while one is acquired leaves it locked.
    queue: SimpleQueue[tuple[list[str], SimpleQueue[_Result]] | None] = SimpleQueue()

    def work() -> None:
        with computing():
            while (item := queue.get()) is not None:
                chunk, result = item
                try:
                    result.put(list(task.predict(network, chunk)))
                except BaseException as error:  # noqa: BLE001 - raised where the result is read
                    result.put(error)

    pending: deque[SimpleQueue[_Result]] = deque()
    workers: list[Thread] = []
    try:
        for _ in range(threads):
            worker = Thread(target=work, name="predict", daemon=True)
            worker.start()
            workers.append(worker)
        for chunk in chunks:
            pending.append(SimpleQueue())
            queue.put((chunk, pending[-1]))
            if len(pending) > threads:
                yield from _next_result(pending)
        while pending:
            yield from _next_result(pending)
    finally:
        for _ in range(threads):
            queue.put(None)
        for worker in workers:
            worker.join()


def embed(
    task: Embeds, network: nn.Module, texts: Iterable[str], *, per_step: bool
) -> list[npt.NDArray[np.float32]]:
    """Return the vectors of texts, computed in chunks; as :meth:`zoo.interfaces.Embeds.embed`."""
    rest = iter(texts)
    vectors: list[npt.NDArray[np.float32]] = []
    while chunk := list(islice(rest, CHUNK)):
        with computing(), torch.inference_mode():
            vectors.extend(task.embed(network, chunk, per_step=per_step))
    return vectors


def _next_result(pending: deque[SimpleQueue[_Result]]) -> list[Prediction]:
    result = pending.popleft().get()
    if isinstance(result, BaseException):
        raise result
    return result
