"""The files of the pages, read once: no request opens a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from zoo_serve.errors import Refused

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str


class Pages:
    """The files of the folder ``static``, by name."""

    def __init__(self) -> None:
        self._files = {}
        for path in sorted((Path(__file__).parent / "static").iterdir()):
            if path.suffix in TYPES:
                content = path.read_bytes()
                etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
                self._files[path.name] = _File(content, TYPES[path.suffix], etag)

    def response(self, name: str, request: Request) -> Response:
        """Return a file, or that the client has it already.

        Raises:
            Refused: There is no such file.
        """
        file = self._files.get(name)
        if file is None:
            raise Refused(404, "not_found", "no such file")
        headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(file.content, headers=headers, media_type=file.media_type)
