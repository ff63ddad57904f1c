"""Processes that compute batches, beside the one that reads and writes requests.

Python runs one thread of a process at a time. Threads that compute would take turns with the one
that serves hundreds of connections, and each turn may last a millisecond; processes do not.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import pickle
import signal
import socket
import struct
import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedRWPair
from typing import Any

from zoo.errors import ZooError
from zoo_serve.batching import Operation, WorkerError
from zoo_serve.errors import Refused, refusal
from zoo_serve.served import ServedModel

_SIZE = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class _Answer:
    """The results of a batch; or why there are none, as the arguments of a refusal or in full."""

    results: Sequence[Any] = ()
    refusal: tuple[int, str, str] | None = None
    traceback: str = ""


class Processes:
    """Computes in processes that are forked from this one, with the models in their memory.

    Args:
        models: The models by name, on the CPU.
        number: How many processes.
        sockets: Sockets of this process, which the others close.

    Attributes:
        failure: How a process ended that should not have; empty: none did.
    """

    def __init__(
        self,
        models: Mapping[str, ServedModel],
        number: int,
        sockets: Collection[socket.socket] = (),
    ) -> None:
        self.number = number
        self.failure = ""
        self._workers: list[_Worker] = []
        try:
            for _ in range(number):
                others = [worker.connection for worker in self._workers]
                self._workers.append(_Worker(models, [*sockets, *others]))
        except BaseException:
            self.close()
            raise
        self._free: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()

    async def start(self) -> None:
        """Connect to the processes."""
        for worker in self._workers:
            await worker.connect()
            self._free.put_nowait(worker)

    async def compute(self, model: str, operation: Operation, texts: list[str]) -> Sequence[Any]:
        """Return a result for each text.

        Raises:
            Refused: The model refuses the texts.
            RuntimeError: The model failed; with the traceback.
            WorkerError: The process ended.
        """
        worker = await self._free.get()
        try:
            answer = await worker.ask(model, operation, texts)
        except (OSError, EOFError) as error:
            self.failure = f"a process that computes ended with {worker.wait()}"
            raise WorkerError(self.failure) from error
        finally:
            self._free.put_nowait(worker)
        if answer.refusal is not None:
            raise Refused(*answer.refusal)
        if answer.traceback:
            raise RuntimeError(answer.traceback)
        return answer.results

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.close()


class _Worker:
    """A process, and the connection to it."""

    def __init__(
        self, models: Mapping[str, ServedModel], sockets: Collection[socket.socket]
    ) -> None:
        self.connection, theirs = socket.socketpair()
        self._process = multiprocessing.get_context("fork").Process(
            target=_work, args=(models, theirs, [*sockets, self.connection]), daemon=True
        )
        with theirs:
            self._process.start()

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(sock=self.connection)

    async def ask(self, model: str, operation: Operation, texts: list[str]) -> _Answer:
        self._writer.write(pickle.dumps((model, operation, texts), pickle.HIGHEST_PROTOCOL))
        (size,) = _SIZE.unpack(await self._reader.readexactly(_SIZE.size))
        answer = pickle.loads(await self._reader.readexactly(size))
        assert isinstance(answer, _Answer)
        return answer

    def wait(self) -> str:
        """Wait until the process has ended; return how it did."""
        self._process.join()
        code = self._process.exitcode or 0
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def close(self) -> None:
        self._process.kill()  # It has nothing that it would lose.
        self._process.join()
        self.connection.close()


def _work(
    models: Mapping[str, ServedModel],
    connection: socket.socket,
    sockets: Collection[socket.socket],
) -> None:
    """Answer until the connection is closed, by the server or by its end."""
    # Those of a terminal and of a service manager reach all processes of a group; the server tells
    # when it has no more use of this one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for each in sockets:
        each.close()
    gc.freeze()
    with connection, connection.makefile("rwb") as stream:
        while (answer := _next_answer(models, stream)) is not None:
            content = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
            stream.write(_SIZE.pack(len(content)))
            stream.write(content)
            stream.flush()


def _next_answer(models: Mapping[str, ServedModel], stream: BufferedRWPair) -> _Answer | None:
    try:
        model, operation, texts = pickle.load(stream)
    except (OSError, EOFError):
        return None
    try:
        return _Answer(models[model].compute(operation, texts))
    except ZooError as error:
        found = refusal(error)
        return _Answer(refusal=(found.status_code, found.code, found.detail))
    except Exception:  # noqa: BLE001 - raised in the server's process
        return _Answer(traceback=traceback.format_exc())
