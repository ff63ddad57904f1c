"""What a client may ask for, and how much of it at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the server; what exceeds one is refused with a status of its own.

    Args:
        body: Bytes of a request body (413).
        texts: Texts of a request (422).
        explained: Texts of a request for explanations, which take many passes each (422).
        characters: Characters of a text or a prompt (422).
        tokens: Tokens of a generated text (422).
        queue: Texts that wait for one model (503).
        requests: Requests in progress (503).
        generations: Texts that are generated at the same time (503).
        timeout: Seconds that a request may take (503; a body that does not arrive: 408).
        rate: Requests a second from one address, with bursts of twice as many; 0: any (429).
    """

    body: int = 2 << 20
    texts: int = 1024
    explained: int = 16
    characters: int = 100_000
    tokens: int = 10_000
    queue: int = 8192
    requests: int = 256
    generations: int = 4
    timeout: float = 30.0
    rate: float = 0.0
