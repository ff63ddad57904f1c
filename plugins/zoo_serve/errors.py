"""Errors as clients see them: one JSON form, a code for programs, and no traceback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from zoo.errors import DataError, UsageError, ZooError, printable, shortened

LONGEST_MESSAGE = 500
MOST_DETAILS = 20


class Refused(HTTPException):
    """A request that is refused.

    Args:
        status: The HTTP status.
        code: What happened, for programs: a word that stays the same.
        message: What happened, for people.
        retry_after: Seconds after which the client may try again; 0: it need not.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after: int = 0) -> None:
        headers = {"Retry-After": str(retry_after)} if retry_after else {}
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            headers["Connection"] = "close"  # The rest of the body is not read.
        if status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        super().__init__(status, message, headers or None)
        self.code = code


EXPECTED = (HTTPException, RequestValidationError, ZooError)
"""What an endpoint raises where no answer can be given. Anything else is an error in the code."""


def refusal(error: ZooError) -> Refused:
    """Return what a request is refused with, where it led to an expected failure."""
    if isinstance(error, UsageError | DataError):
        return Refused(422, "unusable_input", str(error))
    return Refused(500, "failed", str(error))


def error_response(error: Exception) -> Response:
    """Return what a client is told of a failure."""
    if isinstance(error, ZooError):
        error = refusal(error)
    if isinstance(error, Refused):
        return _response(error.status_code, error.code, error.detail, headers=error.headers)
    if isinstance(error, HTTPException):  # Of the router: no such path, another method.
        status = HTTPStatus(error.status_code)
        return _response(status, status.name.lower(), status.phrase, headers=error.headers)
    if isinstance(error, RequestValidationError):
        details = [
            {"where": ".".join(map(str, each["loc"])), "message": str(each["msg"])}
            for each in error.errors()[:MOST_DETAILS]
        ]
        first = f"{details[0]['where']}: {details[0]['message']}" if details else "not understood"
        return _response(422, "invalid_request", first, details=details)
    return _response(500, "internal_error", "internal error; the server's log has the cause")


def _response(
    status: int,
    code: str,
    message: str,
    *,
    details: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    error: dict[str, Any] = {"code": code, "message": _safe(message)}
    if details:
        error["details"] = [{key: _safe(text) for key, text in each.items()} for each in details]
    # In ASCII: a name that a client chose may have characters that UTF-8 cannot hold.
    content = json.dumps({"error": error})
    return Response(content, status, dict(headers or {}), "application/json")


def _safe(text: str) -> str:
    return shortened(printable(text), LONGEST_MESSAGE)
