"""The models of a server with their queues, and what is asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from starlette.requests import Request

from zoo import TrainedModel
from zoo.generation import Sampling
from zoo_serve.batching import Batcher, Operation
from zoo_serve.computing import Computing
from zoo_serve.errors import Refused
from zoo_serve.generation import End, Generations
from zoo_serve.limits import Limits
from zoo_serve.monitoring import Monitor
from zoo_serve.schemas import GenerateRequest, TextsRequest
from zoo_serve.served import ServedModel


class Service:
    """Models by name, with a queue each. Each answers once before it is served.

    Args:
        models: The models by name, at least one.
        limits: What may be asked for at once.
        make_computing: Returns what computes batches of the models.
    """

    def __init__(
        self,
        models: Mapping[str, TrainedModel],
        limits: Limits,
        make_computing: Callable[[Mapping[str, ServedModel]], Computing],
    ) -> None:
        self.limits = limits
        self.monitor = Monitor()
        self.draining = False
        self.models = {name: ServedModel(name, model) for name, model in models.items()}
        for model in self.models.values():
            model.warm_up()
        self._computing = computing = make_computing(self.models)
        self._batchers = {}
        for name in self.models:
            compute, count = partial(computing.compute, name), partial(self._count, name)
            batcher = Batcher(compute, computing.number, limits.queue, limits.timeout, count)
            self._batchers[name] = batcher
            self.monitor.watch_queue(name, partial(getattr, batcher, "waiting"))
        self._generations = Generations(limits.generations, limits.timeout)
        self.monitor.watch_generations(lambda: self._generations.running)

    def _count(self, name: str, operation: Operation, texts: int) -> None:
        self.monitor.batch(name, operation[0], texts)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let batches be computed."""
        await self._computing.start()
        try:
            yield
        finally:
            self._generations.close()
            for batcher in self._batchers.values():
                await batcher.close()
            self.close()

    def close(self) -> None:
        """End what computes batches; nothing happens where it has ended."""
        self._computing.close()

    @property
    def failure(self) -> str:
        """Why nothing can be computed any more; empty: it can."""
        return self._computing.failure

    def drain(self, seconds: float) -> None:
        """Take no further requests, and let generations end within this time."""
        self.draining = True
        self._generations.end_within(seconds)

    def find(self, name: str) -> ServedModel:
        """Return the model of a name; without a name the only one.

        Raises:
            Refused: There is none, or several and no name.
        """
        if not name and len(self.models) == 1:
            return next(iter(self.models.values()))
        if name not in self.models:
            served = ", ".join(self.models)
            if not name:
                raise Refused(422, "model_missing", f"name a model: {served}")
            raise Refused(404, "unknown_model", f"no such model; there are {served}")
        return self.models[name]

    async def compute(
        self, capability: str, request: TextsRequest, *, argument: str = ""
    ) -> tuple[ServedModel, list[bytes]]:
        """Return the model that was asked, and a result for each text, as JSON.

        Raises:
            Refused: It cannot do that, or a limit is exceeded.
        """
        self._check_open()
        model = self.find(request.model)
        model.require(capability)
        texts = self._texts(request, explained=capability == "explain")
        if not texts:
            return model, []
        try:
            return model, await self._batchers[model.name].submit((capability, argument), texts)
        except TimeoutError:
            message = f"no result within {self.limits.timeout:g} s"
            raise Refused(503, "timeout", message, retry_after=1) from None

    async def generate(
        self, body: GenerateRequest, request: Request
    ) -> tuple[ServedModel, AsyncIterator[str | End]]:
        """Start to generate; return the model, and pieces of text up to the end.

        The generation stops when the client of ``request`` goes away, or the pieces are closed.

        Raises:
            Refused: The model cannot generate, or a limit is exceeded.
            DataError: The prompt has a character that the vocabulary lacks.
        """
        self._check_open()
        model = self.find(body.model)
        model.require("generate")
        self._check_length(body.prompt)
        if body.length > self.limits.tokens:
            message = f"length is {body.length:,}, and {self.limits.tokens:,} are allowed"
            raise Refused(422, "too_many_tokens", message)
        sampling = Sampling.at_temperature(body.temperature, body.top_k, body.top_p, body.seed)
        tokens = model.stream(body.prompt, body.length, sampling)
        generation = self._generations.start(tokens, partial(self.monitor.tokens, model.name))

        async def pieces() -> AsyncIterator[str | End]:
            gone = asyncio.ensure_future(_disconnected(request))
            gone.add_done_callback(lambda _: generation.stop())
            try:
                while True:
                    piece = await generation.next()
                    yield piece
                    if isinstance(piece, End):
                        return
            finally:
                generation.stop()
                gone.cancel()

        return model, pieces()

    def _texts(self, request: TextsRequest, *, explained: bool) -> list[str]:
        try:
            texts = request.given()
        except ValueError as error:
            raise Refused(422, "invalid_request", str(error)) from None
        most = self.limits.explained if explained else self.limits.texts
        if len(texts) > most:
            message = f"{len(texts):,} texts, and {most:,} are allowed in a request"
            raise Refused(422, "too_many_texts", message)
        for text in texts:
            self._check_length(text)
        return texts

    def _check_length(self, text: str) -> None:
        if len(text) > self.limits.characters:
            message = (
                f"a text has {len(text):,} characters, and {self.limits.characters:,} are allowed"
            )
            raise Refused(422, "text_too_long", message)

    def _check_open(self) -> None:
        if self.draining:
            raise Refused(503, "shutting_down", "the server is shutting down", retry_after=5)


async def _disconnected(request: Request) -> None:
    """Wait until the client has gone; the body of the request has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
