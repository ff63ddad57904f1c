"""The application: routes of the API and of the pages, behind the guards."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from zoo import TrainedModel
from zoo_serve import schemas
from zoo_serve.boundary import Boundary
from zoo_serve.computing import Threads
from zoo_serve.direct import Direct
from zoo_serve.errors import EXPECTED, error_response
from zoo_serve.generation import End
from zoo_serve.guard import ClientGuard, NameGuard
from zoo_serve.limits import Limits
from zoo_serve.pages import Pages
from zoo_serve.served import ServedModel, as_json
from zoo_serve.service import Service

DESCRIPTION = (
    "Predictions, generated text, vectors and explanations of trained models. Bodies are JSON. "
    "Every error has the form of ErrorResponse."
)
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.ErrorResponse, "description": description}
    for status, description in {
        401: "The token is missing or wrong.",
        404: "There is no such model.",
        413: "The body is too large.",
        415: "The body is not JSON.",
        422: "The request cannot be understood, or exceeds a limit.",
        429: "Too many requests from this address; see Retry-After.",
        501: "The model cannot do this.",
        503: "Too much is being computed, or it takes too long; see Retry-After.",
    }.items()
}


def create_app(
    models: Mapping[str, TrainedModel],
    limits: Limits | None = None,
    *,
    threads: int = 1,
    token: str = "",
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
) -> FastAPI:
    """Return an ASGI application that serves models.

    Args:
        models: The models by name, at least one.
        limits: What a client may ask for at once; None: the defaults.
        threads: Threads that compute for each model.
        token: What clients have to send as ``Authorization: Bearer TOKEN``; empty: nothing.
        hosts: Names under which the server is reached, without ports; empty: any.
        origins: Origins of web pages of others that may use the API.

    Returns:
        The application; ``app.state.service`` is its :class:`zoo_serve.service.Service`.
    """
    service = Service(models, limits or Limits(), partial(Threads, number=threads))
    return application(service, token=token, hosts=hosts, origins=origins)


def application(
    service: Service,
    *,
    token: str = "",
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
) -> FastAPI:
    """Return an ASGI application that answers by a service; see :func:`create_app`.

    Args:
        service: The models.
        token: What clients have to send.
        hosts: Names under which the server is reached.
        origins: Origins of web pages of others that may use the API.
    """
    limits = service.limits
    pages = Pages()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = _Application(
        title="zoo serve",
        version=version("seqzoo"),
        description=DESCRIPTION,
        docs_url=None,  # Its page loads scripts from elsewhere; /docs is a page of our own.
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    for kind in (*EXPECTED, Exception):
        app.add_exception_handler(kind, _answer_error)

    @app.post("/v1/predict", response_model=schemas.PredictResponse, responses=ERRORS)
    async def predict(body: schemas.PredictRequest) -> Response:
        """Predict a text, or several."""
        model, found = await service.compute("predict", body)
        return _results(model, "predictions", found)

    @app.post("/v1/embed", response_model=schemas.EmbedResponse, responses=ERRORS)
    async def embed(body: schemas.EmbedRequest) -> Response:
        """Return a vector for each text."""
        model, found = await service.compute("embed", body)
        return _results(model, "vectors", found)

    @app.post("/v1/explain", response_model=schemas.ExplainResponse, responses=ERRORS)
    async def explain(body: schemas.ExplainRequest) -> Response:
        """Return what each piece of a text adds to its answer."""
        model, found = await service.compute("explain", body, argument=body.target)
        return _results(model, "explanations", found)

    @app.post(
        "/v1/generate",
        response_model=schemas.GenerateResponse,
        responses={
            **ERRORS,
            200: {
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
                "description": 'The text; with stream as events `data: {"text": ...}` and a last '
                "one, `event: end`.",
            },
        },
    )
    async def generate(body: schemas.GenerateRequest, request: Request) -> Response:
        """Generate what follows a prompt."""
        model, pieces = await service.generate(body, request)
        if body.stream:
            return StreamingResponse(_events(pieces), media_type="text/event-stream")
        text: list[str] = []
        end = End("length", 0)
        async for piece in pieces:
            if isinstance(piece, End):
                end = piece
            else:
                text.append(piece)
        return _json({"model": model.name, "text": "".join(text), **asdict(end)})

    @app.get("/v1/models", response_model=schemas.ModelsResponse, responses=_only(401, 429))
    async def models_() -> Response:
        """List the models, and the limits of requests."""
        cards = [asdict(model.card()) for model in service.models.values()]
        shown = {key: getattr(limits, key) for key in schemas.ServedLimits.model_fields}
        return _json({"models": cards, "limits": shown})

    @app.get(
        "/v1/models/{name}", response_model=schemas.ModelCard, responses=_only(401, 404, 422, 429)
    )
    async def model_card(name: str) -> Response:
        """Return the card of a model."""
        return _json(asdict(service.find(name).card()))

    @app.get("/healthz", response_model=schemas.Health)
    async def health() -> Response:
        """Say whether requests are taken: 503 while the server shuts down."""
        status = "draining" if service.draining else "ok"
        return _json({"status": status}, 503 if service.draining else 200)

    @app.get("/metrics", response_class=Response, responses=_only(401, 429))
    async def metrics() -> Response:
        """Return metrics in the text format of Prometheus."""
        monitor = service.monitor
        return Response(monitor.exposition(), headers={"Content-Type": monitor.content_type})

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return pages.response("index.html", request)

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return pages.response("docs.html", request)

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str, request: Request) -> Response:
        return pages.response(name, request)

    of_texts = [
        route for route in app.routes
        if isinstance(route, APIRoute) and route.endpoint in (predict, embed, explain)
    ]  # fmt: skip
    guarded: ASGIApp = ClientGuard(Direct(app.answer, of_texts), limits, token)
    if origins:
        guarded = CORSMiddleware(
            guarded,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )
    guarded = NameGuard(guarded, hosts, origins)
    app.guarded = Boundary(
        guarded,
        on_request=service.monitor.request,
        draining=lambda: service.draining,
    )
    return app


class _Application(FastAPI):
    """The application of FastAPI behind guards, which are its outermost part."""

    guarded: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.guarded(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that the guards let through."""
        await super().__call__(scope, receive, send)


async def _answer_error(request: Request, error: Exception) -> Response:
    del request
    return error_response(error)


async def _events(pieces: AsyncIterator[str | End]) -> AsyncIterator[bytes]:
    """Return server-sent events: a piece of text each, and how it ended."""
    async for piece in pieces:
        if isinstance(piece, End):
            yield f"event: end\ndata: {json.dumps(asdict(piece))}\n\n".encode()
        else:
            yield f"data: {json.dumps({'text': piece})}\n\n".encode()


def _json(document: Any, status: int = 200) -> Response:
    return Response(as_json(document), status, media_type="application/json")


def _results(model: ServedModel, key: str, results: Sequence[bytes]) -> Response:
    """Return a JSON response of results that are JSON already."""
    content = b'{"model":%b,"%b":[%b]}' % (as_json(model.name), key.encode(), b",".join(results))
    return Response(content, media_type="application/json")


def _only(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: ERRORS[status] for status in statuses}
