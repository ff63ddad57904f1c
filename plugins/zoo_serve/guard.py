"""Which requests are taken: from whom, to which name, of what kind and size."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zoo_serve.errors import Refused, error_response
from zoo_serve.limits import Limits

OPEN_PATHS = frozenset({"/", "/docs", "/openapi.json", "/healthz"})
"""Paths that need no token, as /static/: they tell nothing of the models."""

MOST_CLIENTS = 10_000
DISCARDED_BYTES = 16 << 20
"""Of a body that is too large: read and dropped, so that the client reads the answer."""


class NameGuard:
    """Refuses requests to other names than the server's own, and those of other sites' pages.

    A page of another site may lead its own name to 127.0.0.1 (DNS rebinding), or send a form here;
    both tell where they come from.

    Args:
        app: The application.
        hosts: The names, without ports; empty: any.
        origins: Origins of pages that may use the server from a browser.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], origins: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = _headers(scope)
            host = headers.get(b"host", b"").decode("latin-1")
            if self._hosts and _name(host) not in self._hosts:
                raise Refused(403, "unknown_host", "the server has another name; see --allow-host")
            origin = headers.get(b"origin", b"").decode("latin-1")
            if origin and origin not in self._origins and _address(origin) != host.lower():
                message = "pages of other sites may not use the server; see --allow-origin"
                raise Refused(403, "other_origin", message)
        await self._app(scope, receive, send)


class ClientGuard:
    """Refuses requests without the token, too many of them, and bodies of a wrong kind.

    A refusal is answered here: a page that may use the server reads why, since the headers of CORS
    are added around it.

    Args:
        app: The application.
        limits: Bounds of requests in progress, of bodies, of the time until they arrive, and of
            rates.
        token: What clients have to send as ``Authorization: Bearer TOKEN``; empty: nothing.
    """

    def __init__(self, app: ASGIApp, limits: Limits, token: str) -> None:
        self._app = app
        self._limits = limits
        self._token = token.encode()
        self._rates = Rates(limits.rate)
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._requests += 1
        try:
            receive = await self._taken(scope, receive)
        except Refused as refused:
            await error_response(refused)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
        finally:
            self._requests -= 1

    async def _taken(self, scope: Scope, receive: Receive) -> Receive:
        """Return what reads the body of a request.

        Raises:
            Refused: The request is not taken.
        """
        if self._requests > self._limits.requests:
            message = "too many requests are in progress"
            raise Refused(503, "too_many_requests_in_progress", message, retry_after=1)
        headers = _headers(scope)
        path = scope["path"]
        if self._token and path not in OPEN_PATHS and not path.startswith("/static/"):
            self._check_token(headers)
        if self._limits.rate and path != "/healthz":
            self._rates.count(scope["client"][0] if scope.get("client") else "")
        if scope["method"] in ("POST", "PUT", "PATCH"):
            await self._check_body(headers, receive)
            receive = self._bounded(receive)
        return receive

    def _check_token(self, headers: Mapping[bytes, bytes]) -> None:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        # Compared in a time that does not depend on what agrees.
        same = secrets.compare_digest(given.strip(), self._token)
        if not same or scheme.lower() != b"bearer":
            raise Refused(401, "unauthorized", "send the token: Authorization: Bearer TOKEN")

    async def _check_body(self, headers: Mapping[bytes, bytes], receive: Receive) -> None:
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._limits.body:
            await self._refuse_body(receive)
        if kind != b"application/json":
            message = "send JSON: Content-Type: application/json"
            raise Refused(415, "unsupported_media_type", message)

    def _bounded(self, receive: Receive) -> Receive:
        """Return a ``receive`` that reads a body within the limits of size and time."""
        arrived = 0
        complete = False
        deadline = time.monotonic() + self._limits.timeout

        async def bounded() -> Message:
            nonlocal arrived, complete
            if complete:  # What follows is that the client has gone.
                return await receive()
            message = await _within(deadline, receive)
            arrived += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if arrived > self._limits.body:
                if not complete:
                    await self._refuse_body(receive)
                raise self._too_large()
            return message

        return bounded

    async def _refuse_body(self, receive: Receive) -> None:
        """Read and drop some of a body that is too large, and refuse it."""
        deadline, left, more = time.monotonic() + 5, DISCARDED_BYTES, True
        while more and left > 0:
            message = await _within(deadline, receive)
            left -= len(message.get("body", b""))
            more = message.get("more_body", False)
        raise self._too_large()

    def _too_large(self) -> Refused:
        message = f"the body has more than {self._limits.body:,} bytes"
        return Refused(413, "body_too_large", message)


class Rates:
    """Requests a second of each client: a token bucket, as deep as two seconds.

    Args:
        rate: Requests a second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._depth = max(2 * rate, 1.0)
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, client: str) -> None:
        """Count a request.

        Raises:
            Refused: The client has made too many.
        """
        now = time.monotonic()
        left, last = self._clients.pop(client, (self._depth, now))
        left = min(left + (now - last) * self._rate, self._depth)
        self._clients[client] = (max(left - 1, 0) if left >= 1 else left, now)
        if len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        if left < 1:
            wait = max(1, round((1 - left) / self._rate))
            message = f"more than {self._rate:g} requests a second"
            raise Refused(429, "too_many_requests", message, retry_after=wait)


async def _within(deadline: float, receive: Receive) -> Message:
    try:
        async with asyncio.timeout(max(deadline - time.monotonic(), 0)):
            return await receive()
    except TimeoutError:
        raise Refused(408, "body_timeout", "the body did not arrive in time") from None


def _headers(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers of a request; of several with one name the first."""
    return dict(reversed([*scope["headers"]]))


def _name(host: str) -> str:
    """Return the name of a Host header, without its port."""
    host = host.strip().lower()
    if host.startswith("["):  # An address of IPv6.
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _address(origin: str) -> str:
    """Return the name and port of an origin, as a Host header has them."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
