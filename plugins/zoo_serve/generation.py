"""Texts that are generated while their clients read: a thread for each, and a few at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Thread

from zoo_serve.errors import Refused

PIECE_SECONDS = 0.03
"""Tokens that are drawn within this time are sent together: as smooth as a screen can show."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of a generated text.

    Args:
        reason: ``length``; ``timeout`` or ``shutdown`` where it is shorter than was asked for.
        tokens: How many were drawn.
    """

    reason: str
    tokens: int


class Generation:
    """A text that a thread generates, read piece by piece; stopped by :meth:`stop`.

    Args:
        tokens: Yields the tokens.
        seconds_left: Returns how long it may go on, and why it ends then.
        on_end: Is called in the thread when it has ended, with the number of tokens.
    """

    def __init__(
        self,
        tokens: Iterator[str],
        seconds_left: Callable[[], tuple[float, str]],
        on_end: Callable[[Generation, int], None],
    ) -> None:
        self._tokens = tokens
        self._seconds_left = seconds_left
        self._on_end = on_end
        self._stopped = False
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[str | End | Exception] = asyncio.Queue()
        self.thread = Thread(target=self._work, name="generate")

    def stop(self) -> None:
        """End it after the token that is being drawn."""
        self._stopped = True

    async def next(self) -> str | End:
        """Return the next piece, or the end."""
        piece = await self._pieces.get()
        if isinstance(piece, Exception):
            raise piece
        return piece

    def _work(self) -> None:
        count = 0
        piece: list[str] = []
        sent = 0.0  # The first token is sent at once.
        last: End | Exception | None = None
        try:
            for token in self._tokens:
                left, reason = self._seconds_left()
                if self._stopped or left <= 0:
                    last = End(reason, count)
                    break
                count += 1
                piece.append(token)
                if (now := time.monotonic()) - sent >= PIECE_SECONDS:
                    self._send("".join(piece))
                    piece, sent = [], now
        except Exception as error:  # noqa: BLE001 - raised where the text is read
            last = error
        finally:
            self._on_end(self, count)
        if piece:
            self._send("".join(piece))
        self._send(last or End("length", count))

    def _send(self, piece: str | End | Exception) -> None:
        try:
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)
        except RuntimeError:  # The loop has ended, and with it whoever waited.
            self._stopped = True


class Generations:
    """The generations that run, bounded in number and time.

    Args:
        most: How many may run at the same time.
        timeout: Seconds that each may take.
    """

    def __init__(self, most: int, timeout: float) -> None:
        self._most = most
        self._timeout = timeout
        self._running: set[Generation] = set()
        self._shutdown = float("inf")

    @property
    def running(self) -> int:
        """How many run now."""
        return len(self._running)

    def start(self, tokens: Iterator[str], on_tokens: Callable[[int], None]) -> Generation:
        """Start to generate.

        Args:
            tokens: Yields the tokens.
            on_tokens: Is told at the end how many were drawn.

        Raises:
            Refused: As many as are allowed run already.
        """
        if self.running >= self._most:
            message = "as many texts are being generated as are allowed at the same time"
            raise Refused(503, "too_many_generations", message, retry_after=1)
        deadline = time.monotonic() + self._timeout

        def seconds_left() -> tuple[float, str]:
            now = time.monotonic()
            if now >= self._shutdown:
                return 0, "shutdown"
            return deadline - now, "timeout"

        def on_end(generation: Generation, count: int) -> None:
            self._running.discard(generation)
            on_tokens(count)

        generation = Generation(tokens, seconds_left, on_end)
        self._running.add(generation)
        generation.thread.start()
        return generation

    def end_within(self, seconds: float) -> None:
        """Let all that run, and all that are started from now on, end within this time."""
        self._shutdown = time.monotonic() + seconds

    def close(self) -> None:
        """Stop all and wait for their threads."""
        for generation in list(self._running):
            generation.stop()
            generation.thread.join()
