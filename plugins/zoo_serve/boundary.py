"""The outermost layer: every answer has safe headers and is counted, and every failure is JSON."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zoo_serve.errors import error_response

logger = logging.getLogger("zoo_serve")

# Everything of the pages comes from this server; nothing may embed them.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Boundary:
    """Catches what the application raises, and counts requests.

    Args:
        app: The application.
        on_request: Is told path, status and seconds of every request. The path is that of a
            route, or ``other``: a client cannot make up new ones.
        draining: Returns whether the server is ending: its answers close their connections.
    """

    def __init__(
        self,
        app: ASGIApp,
        on_request: Callable[[str, int, float], None],
        draining: Callable[[], bool],
    ) -> None:
        self._app = app
        self._on_request = on_request
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = message.get("headers", ())
                headers = [*given, *HEADERS]
                if self._draining():
                    headers.append((b"connection", b"close"))
                if b"cache-control" not in dict(given):
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(scope, receive, send_safely)
        except ClientDisconnect:
            pass  # Nobody is there to be told.
        except Exception as error:  # The one place for every failure of a request.
            response = error_response(error)
            if response.status_code == 500:
                logger.error("%s failed", scope["path"], exc_info=error)
            if not status:  # Otherwise the connection is closed in the middle of an answer.
                await response(scope, receive, send_safely)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._on_request(route, status, time.perf_counter() - started)
