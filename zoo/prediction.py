"""Predictions of any number of texts: in order, in constant memory, by several threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from zoo.blas import one_blas_thread
from zoo.environment import computing, torch_is_imported
from zoo.errors import UsageError
from zoo.forks import delay_forks
from zoo.interfaces import Embeds, Prediction, Predicts

# Texts that a task is given at once, and their characters, which bound the memory.
CHUNK = 1024
CHUNK_CHARACTERS = 1 << 22

_Result = list[Prediction] | BaseException


@runtime_checkable
class ArrivingTexts(Protocol):
    """Texts that may come slowly, such as lines of a pipe: what is there is predicted first."""

    def __iter__(self) -> Iterator[str]: ...

    def ready(self) -> bool:
        """Return whether the next text, or the end, is there; after a short wait at most."""


def predict(
    task: Predicts, network: Any, texts: Iterable[str], threads: int = 1
) -> Iterator[Prediction]:
    """Yield the prediction of each text, in order; ``threads + 1`` chunks of texts are read ahead.

    Of :class:`ArrivingTexts` those that are there are predicted before the next one is waited for.

    Args:
        task: Predicts a chunk at a time.
        network: A trained network of the task, in evaluation mode: a torch module, or arrays.
        texts: Any number of them.
        threads: How many chunks are predicted at the same time, each with torch's threads.

    Raises:
        UsageError: The process was forked since the first prediction.
    """
    if threads == 1:
        for chunk in chunks(texts):
            yield from _predict_chunk(task, network, chunk) if chunk else ()
        return

    running = Semaphore(threads)

    def work(chunk: list[str], result: SimpleQueue[_Result]) -> None:
        try:
            with running:
                result.put(_predict_chunk(task, network, chunk))
        except BaseException as error:  # noqa: BLE001 - raised where the result is read
            result.put(error)

    # A thread for each chunk, and none that waits for the next one: a program that ends while
    # predictions are unread waits for at most a chunk. A thread that Python ended halfway, as it
    # does with daemons, would abort the process inside torch.
    pending: deque[tuple[Thread, SimpleQueue[_Result]]] = deque()
    process = os.getpid()
    try:
        for chunk in chunks(texts):
            if chunk:
                result: SimpleQueue[_Result] = SimpleQueue()
                thread = Thread(target=work, args=(chunk, result), name="predict")
                thread.start()
                pending.append((thread, result))
            while len(pending) > threads or (pending and not chunk):
                yield from _next_result(pending, process)
        while pending:
            yield from _next_result(pending, process)
    finally:
        if os.getpid() == process:
            for thread, _ in pending:
                thread.join()


def _predict_chunk(task: Predicts, network: Any, chunk: list[str]) -> list[Prediction]:
    with delay_forks(), computing(), _without_blas_threads(chunk):
        return list(task.predict(network, chunk))


def chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield texts in chunks; an empty one where the next text is not there yet.

    Args:
        texts: Any number of texts.

    Raises:
        TypeError: A text is no string.
    """
    is_ready = texts.ready if isinstance(texts, ArrivingTexts) else None
    chunk: list[str] = []
    size = 0
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"texts are strings, not {type(text).__name__}")
        chunk.append(text)
        size += len(text)
        waits = is_ready is not None and not is_ready()
        if waits or len(chunk) >= CHUNK or size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
        if waits:
            yield []
    if chunk:
        yield chunk


def embed(
    task: Embeds, network: Any, texts: Iterable[str], *, per_step: bool
) -> list[npt.NDArray[np.float32]]:
    """Return the vectors of texts, computed in chunks; as :meth:`zoo.interfaces.Embeds.embed`.

    Args:
        task: The task.
        network: A trained network of the task.
        texts: Any number of texts.
        per_step: Whether to return the outputs of every step instead of one pooled vector.
    """
    vectors: list[npt.NDArray[np.float32]] = []
    for chunk in filter(None, chunks(texts)):
        with delay_forks(), computing(), _without_blas_threads(chunk), _without_gradients():
            vectors.extend(task.embed(network, chunk, per_step=per_step))
    return vectors


def _without_blas_threads(chunk: list[str]) -> AbstractContextManager[Any]:
    """Return the context for a chunk; the libraries are not searched for a single text."""
    return one_blas_thread() if len(chunk) > 1 else nullcontext()


def _without_gradients() -> AbstractContextManager[Any]:
    if not torch_is_imported():
        return nullcontext()
    import torch

    return torch.inference_mode()


def _next_result(
    pending: deque[tuple[Thread, SimpleQueue[_Result]]], process: int
) -> list[Prediction]:
    """Wait for the oldest chunk.

    Not by Thread.join(): where Ctrl-C comes while it waits, it takes a running thread for ended.
    """
    if os.getpid() != process:
        raise UsageError(
            "predictions were begun before the process was forked",
            why="their threads are in the other process",
            fix="call predict() again",
        )
    result = pending[0][1].get()
    pending.popleft()
    if isinstance(result, BaseException):
        raise result
    return result
