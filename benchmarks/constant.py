"""An ASGI application that answers every request alike: what a server takes without a model."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

SCORES = {"neg": 0.2731577455997467, "pos": 0.7268422842025757}
PREDICTION = {"label": "pos", "probability": SCORES["pos"], "scores": SCORES, "known": 1.0}
ANSWER = json.dumps({"model": "imdb-quick", "predictions": [PREDICTION]}).encode()
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]

Message = MutableMapping[str, Any]


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Read the body of a request, and send the answer."""
    del scope
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})
