"""Requests that are answered without FastAPI: it takes longer for one than a network for a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast, get_type_hints

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from zoo_serve.errors import EXPECTED, error_response


class Direct:
    """Answers requests of some paths by the endpoints that FastAPI has for them.

    FastAPI documents these endpoints and answers everything else, such as another method.

    Args:
        app: The application of FastAPI.
        routes: The routes of the endpoints, which have one argument, ``body``.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[APIRoute]) -> None:
        self._app = app
        self._routes = {route.path: (route, _body_type(route)) for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if found is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        route, body_type = found
        scope["route"] = route
        try:
            response = await route.endpoint(_parse(await _read(receive), body_type))
        except EXPECTED as error:
            response = error_response(error)
        await response(scope, receive, send)


def _body_type(route: APIRoute) -> type[BaseModel]:
    found: type[BaseModel] = get_type_hints(route.endpoint)["body"]
    return found


def _parse(content: bytes, body_type: type[BaseModel]) -> BaseModel:
    """Return a body.

    Raises:
        RequestValidationError: It is not JSON, or not of that form; as FastAPI tells it.
    """
    try:
        return body_type.model_validate_json(content)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError(
            [{**each, "loc": ("body", *each["loc"])} for each in problems]
        ) from None


async def _read(receive: Receive) -> bytes:
    content = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        content += cast(bytes, message.get("body", b""))
        if not message.get("more_body", False):
            return content
