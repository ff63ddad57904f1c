"""The HTTP API of ``zoo serve``, in this process: answers, errors, limits and guards."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zoo
from zoo.errors import ZooWarning
from zoo.interfaces import Explanation, Piece

pytest.importorskip("fastapi", reason="needs seqzoo[serve]")
pytest.importorskip("httpx", reason="needs httpx")

from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from zoo_serve import schemas
from zoo_serve.app import create_app
from zoo_serve.batching import Batcher
from zoo_serve.errors import Refused
from zoo_serve.limits import Limits
from zoo_serve.served import ServedModel

TEXTS = ["A film to remember.", "Dull and far too long.", "", "zzz \N{SNOWMAN} \0 qqq"]
LIMITS = Limits(
    body=4000, texts=8, explained=2, characters=500, tokens=60, queue=16, generations=2, timeout=20
)
FULL = os.environ.get("ZOO_TESTS") == "full"


@pytest.fixture(scope="module")
def reviews(sentiment_run: Path) -> zoo.TrainedModel:
    return zoo.load(sentiment_run)


@pytest.fixture(scope="module")
def writer(char_lm_run: Path) -> zoo.TrainedModel:
    return zoo.load(char_lm_run)


@pytest.fixture(scope="module")
def client(reviews: zoo.TrainedModel, writer: zoo.TrainedModel) -> Iterator[TestClient]:
    """A client of both models, with small limits."""
    with TestClient(create_app({"reviews": reviews, "writer": writer}, LIMITS)) as found:
        yield found


def error(response: Any, status: int) -> str:
    """Check that an answer is an error of the one form, and return its code."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"error"}
    body = schemas.ErrorBody.model_validate(response.json()["error"])
    assert body.message
    assert "Traceback" not in response.text
    return body.code


# Answers


def test_predictions_are_those_of_the_model(client: TestClient, reviews: zoo.TrainedModel) -> None:
    expected = [asdict(prediction) for prediction in reviews.predict(TEXTS)]
    answer = client.post("/v1/predict", json={"model": "reviews", "texts": TEXTS}).json()
    schemas.PredictResponse.model_validate(answer)
    for found, wanted in zip(answer["predictions"], expected, strict=True):
        assert found.keys() == wanted.keys() - {"text"}
        assert found["label"] == wanted["label"]
        assert found["scores"] == pytest.approx(wanted["scores"], abs=1e-6)
    one = client.post("/v1/predict", json={"model": "reviews", "text": TEXTS[0]}).json()
    assert one["predictions"][0]["label"] == expected[0]["label"]
    none = client.post("/v1/predict", json={"model": "reviews", "texts": []}).json()
    assert none["predictions"] == []


def test_answers_of_changed_weights_are_theirs(sentiment_run: Path) -> None:
    model = zoo.load(sentiment_run)
    assert not isinstance(ServedModel("reviews", model)._inference, zoo.TrainedModel)
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.mul_(2)
    (found,) = ServedModel("reviews", model).compute(("predict", ""), ["a text"])
    (expected,) = model.predict(["a text"])
    assert json.loads(found)["probability"] == pytest.approx(expected.probability)  # type: ignore[attr-defined]


def test_vectors_are_those_of_the_model(client: TestClient, reviews: zoo.TrainedModel) -> None:
    answer = client.post("/v1/embed", json={"model": "reviews", "texts": TEXTS[:2]}).json()
    for found, wanted in zip(answer["vectors"], reviews.embed(TEXTS[:2]), strict=True):
        assert found == pytest.approx(wanted.tolist(), abs=1e-5)


def test_generated_text_is_that_of_the_model(client: TestClient, writer: zoo.TrainedModel) -> None:
    body = {"model": "writer", "prompt": "The ", "length": 40, "temperature": 0.8, "seed": 3}
    expected = writer.generate("The ", 40, temperature=0.8, seed=3).removeprefix("The ")
    answer = client.post("/v1/generate", json=body).json()
    assert answer == {"model": "writer", "text": expected, "tokens": 40, "reason": "length"}
    with client.stream("POST", "/v1/generate", json={**body, "stream": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        *events, last = "".join(response.iter_text()).removesuffix("\n\n").split("\n\n")
    pieces = [json.loads(event.removeprefix("data: "))["text"] for event in events]
    assert "".join(pieces) == expected
    assert last == 'event: end\ndata: {"reason": "length", "tokens": 40}'


def test_explanations_are_those_of_the_task(
    reviews: zoo.TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explain(task: Any, network: Any, texts: Sequence[str], target: str) -> list[Explanation]:
        pieces = (Piece(0, 1, 0.5), Piece(2, 6, -0.25))
        return [Explanation(t, target or "pos", 1.25, 1.0, "logit", pieces, "a") for t in texts]

    monkeypatch.setattr(type(reviews.task), "explain", explain, raising=False)
    with TestClient(create_app({"reviews": reviews}, LIMITS)) as client:
        for target, expected in (("", "pos"), ("neg", "neg")):
            answer = client.post("/v1/explain", json={"text": "A film", "target": target}).json()
            schemas.ExplainResponse.model_validate(answer)
            (found,) = answer["explanations"]
            assert (found["target"], found["score"], found["base"]) == (expected, 1.25, 1.0)
            assert found["pieces"][1] == {"start": 2, "end": 6, "value": -0.25}
            assert "text" not in found
        assert "explain" in client.get("/v1/models").json()["models"][0]["capabilities"]
        three = client.post("/v1/explain", json={"texts": ["a", "b", "c"]})
        assert error(three, 422) == "too_many_texts"


def test_the_card_says_what_a_model_is(client: TestClient, reviews: zoo.TrainedModel) -> None:
    answer = client.get("/v1/models").json()
    schemas.ModelsResponse.model_validate(answer)
    assert [card["name"] for card in answer["models"]] == ["reviews", "writer"]
    card = client.get("/v1/models/reviews").json()
    assert card == answer["models"][0]
    assert card["labels"] == ["neg", "pos"]
    assert card["digest"] == reviews.info["digest"]
    assert card["bytes"] == reviews.path.stat().st_size
    measured = card["metrics"]["validation"]
    assert measured["accuracy_low"] <= measured["accuracy"] <= measured["accuracy_high"]
    assert answer["limits"]["texts"] == LIMITS.texts
    assert error(client.get("/v1/models/others"), 404) == "unknown_model"


def test_health_and_metrics(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}

    def value(name: str, **labels: str) -> float:
        families = text_string_to_metric_families(client.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        return sum(
            s.value for s in samples if s.name == name and labels.items() <= s.labels.items()
        )

    asked = {"path": "/v1/predict", "status": "200"}
    before = value("zoo_requests_total", **asked)
    texts = value("zoo_batch_texts_sum", model="reviews", operation="predict")
    client.post("/v1/predict", json={"model": "reviews", "texts": ["a", "b", "c"]})
    assert value("zoo_requests_total", **asked) == before + 1
    assert value("zoo_batch_texts_sum", model="reviews", operation="predict") == texts + 3
    client.get("/no/such/path")
    assert value("zoo_requests_total", path="other", status="404") >= 1


def test_every_operation_is_documented(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path in ("predict", "generate", "embed", "explain"):
        operation = document["paths"][f"/v1/{path}"]["post"]
        assert {"200", "413", "422", "429", "503"} <= operation["responses"].keys()
        reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        (example,) = document["components"]["schemas"][reference.rpartition("/")[2]]["examples"]
        name = "writer" if path == "generate" else "reviews"
        response = client.post(
            f"/v1/{path}",
            json={**example, "length": 5, "model": name}
            if path == "generate"
            else {**example, "model": name},
        )
        assert response.status_code in (200, 501)
    page = client.get("/docs")
    assert "https://" not in page.text, "the page loads from this server alone"


def test_requests_for_texts_do_not_pass_through_fastapi(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise AssertionError("FastAPI takes longer than a network for a text")

    monkeypatch.setattr(FastAPI, "__call__", fail)
    for path, status in (("predict", 200), ("embed", 200), ("explain", 200), ("models", 500)):
        body = {"model": "reviews", "text": "a"}
        assert client.post(f"/v1/{path}", json=body).status_code == status


# Errors


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/predict", {"text": "a"}, 422, "model_missing"),
        ("/v1/predict", {"model": "others", "text": "a"}, 404, "unknown_model"),
        ("/v1/predict", {"model": "writer", "text": "a"}, 501, "not_supported"),
        ("/v1/generate", {"model": "reviews"}, 501, "not_supported"),
        ("/v1/predict", {"model": "reviews"}, 422, "invalid_request"),
        ("/v1/predict", {"model": "reviews", "text": "a", "texts": ["a"]}, 422, "invalid_request"),
        ("/v1/predict", {"model": "reviews", "text": 1}, 422, "invalid_request"),
        ("/v1/predict", {"model": "reviews", "texts": "abc"}, 422, "invalid_request"),
        ("/v1/predict", {"model": "reviews", "text": "a", "label": 1}, 422, "invalid_request"),
        ("/v1/predict", {"model": "reviews", "texts": ["a"] * 9}, 422, "too_many_texts"),
        ("/v1/predict", {"model": "reviews", "text": "a" * 501}, 422, "text_too_long"),
        ("/v1/predict", {"model": "reviews", "text": "a" * 4000}, 413, "body_too_large"),
        ("/v1/generate", {"model": "writer", "length": 61}, 422, "too_many_tokens"),
        (
            "/v1/generate",
            {"model": "writer", "prompt": "\N{SNOWMAN}", "length": 1},
            422,
            "unusable_input",
        ),
        ("/v1/generate", {"model": "writer", "top_p": 0}, 422, "invalid_request"),
        ("/v1/generate", {"model": "writer", "temperature": -1}, 422, "invalid_request"),
        ("/v2/predict", {}, 404, "not_found"),
        ("/healthz", {}, 405, "method_not_allowed"),
    ],
)
def test_what_cannot_be_answered_is_an_error_of_one_form(
    path: str, body: dict[str, Any], status: int, code: str, client: TestClient
) -> None:
    assert error(client.post(path, json=body), status) == code


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"text": "\\ud800"}', b"[" * 3000, b"1" * 3999,
     b'{"\\ud800": 1}', b'{"text": NaN}', b'{"temperature": 1e999}'],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/generate"])
def test_what_is_no_request_is_refused(path: str, content: bytes, client: TestClient) -> None:
    response = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
    error(response, response.status_code)


def test_a_body_that_is_sent_in_pieces_is_bounded(client: TestClient) -> None:
    pieces = (b" " * 1000 for _ in range(5))
    response = client.post(
        "/v1/predict", content=pieces, headers={"Content-Type": "application/json"}
    )
    assert error(response, 413) == "body_too_large"


def test_only_json_is_read(client: TestClient) -> None:
    """A form of another site can send text/plain without being asked."""
    response = client.post("/v1/predict", content=b"{}", headers={"Content-Type": "text/plain"})
    assert error(response, 415) == "unsupported_media_type"


def test_an_internal_error_tells_nothing(
    reviews: zoo.TrainedModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with TestClient(create_app({"reviews": reviews})) as client:

        def fail(*_: object) -> list[object]:
            raise RuntimeError("the secret path /home/me")

        monkeypatch.setattr(ServedModel, "compute", fail)
        response = client.post("/v1/predict", json={"text": "a"})
    assert error(response, 500) == "internal_error"
    assert "secret" not in response.text
    assert "secret" in caplog.text


# Limits


@pytest.fixture
def held(
    reviews: zoo.TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Limits], tuple[TestClient, threading.Event]]]:
    """Return a client of a model that predicts nothing until an event is set."""
    opened: list[tuple[TestClient, threading.Event]] = []
    compute = ServedModel.compute

    def start(limits: Limits) -> tuple[TestClient, threading.Event]:
        client, free = TestClient(create_app({"reviews": reviews}, limits)), threading.Event()
        client.__enter__()
        opened.append((client, free))

        def wait(*arguments: Any) -> Any:
            assert free.wait(60)
            return compute(*arguments)

        monkeypatch.setattr(ServedModel, "compute", wait)
        return client, free

    yield start
    for client, free in opened:
        free.set()
        client.__exit__(None, None, None)


def wait_for_batch(client: TestClient, waiting: int = 0) -> None:
    """Wait until a batch is computed while so many texts wait."""
    batcher = client.app.state.service._batchers["reviews"]  # type: ignore[attr-defined]
    for _ in range(3000):
        if batcher.running == 1 and batcher.waiting == waiting:
            return
        threading.Event().wait(0.01)
    raise AssertionError("no batch is computed")


def test_a_full_queue_is_told(held: Callable[[Limits], tuple[TestClient, threading.Event]]) -> None:
    client, free = held(Limits(queue=2))
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(client.post("/v1/predict", json={"text": "a"}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for number, thread in enumerate(threads):
        thread.start()
        wait_for_batch(client, waiting=number)  # The first is computed, the others wait.
    refused = client.post("/v1/predict", json={"text": "a"})
    assert error(refused, 503) == "queue_full"
    assert int(refused.headers["retry-after"]) >= 1
    free.set()
    for thread in threads:
        thread.join()
    assert statuses == [200, 200, 200]


def test_a_request_that_takes_too_long_is_told(
    held: Callable[[Limits], tuple[TestClient, threading.Event]],
) -> None:
    client, _ = held(Limits(timeout=0.2))
    response = client.post("/v1/predict", json={"text": "a"})
    assert error(response, 503) == "timeout"
    assert int(response.headers["retry-after"]) >= 1


def test_requests_in_progress_are_bounded(
    held: Callable[[Limits], tuple[TestClient, threading.Event]],
) -> None:
    client, free = held(Limits(requests=1))
    thread = threading.Thread(target=lambda: client.post("/v1/predict", json={"text": "a"}))
    thread.start()
    wait_for_batch(client)
    assert error(client.get("/healthz"), 503) == "too_many_requests_in_progress"
    free.set()
    thread.join()
    assert client.get("/healthz").status_code == 200


def test_rates_are_bounded_by_client(reviews: zoo.TrainedModel) -> None:
    with TestClient(create_app({"reviews": reviews}, Limits(rate=2))) as client:
        answers = [client.get("/v1/models") for _ in range(6)]
        assert [a.status_code for a in answers[:4]] == [200] * 4
        assert error(answers[-1], 429) == "too_many_requests"
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200


def test_generations_are_bounded_in_number_and_time(
    writer: zoo.TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, free = threading.Event(), threading.Event()
    stream = type(writer).stream

    def slowly(*arguments: Any) -> Iterator[list[str]]:
        for token in stream(*arguments):
            running.set()
            free.wait(60)
            yield token

    limits = Limits(generations=1, timeout=2)
    with TestClient(create_app({"writer": writer}, limits)) as client:
        monkeypatch.setattr(type(writer), "stream", slowly)
        answers: list[Any] = []
        thread = threading.Thread(
            target=lambda: answers.append(client.post("/v1/generate", json={"length": 9}))
        )
        thread.start()
        assert running.wait(60)
        response = client.post("/v1/generate", json={"length": 0})
        assert error(response, 503) == "too_many_generations"
        threading.Event().wait(2.1)
        free.set()
        thread.join()
        assert answers[0].json()["reason"] == "timeout"
        assert answers[0].json()["tokens"] < 9


# Guards


def test_other_names_and_pages_of_other_sites_are_refused(reviews: zoo.TrainedModel) -> None:
    app = create_app({"reviews": reviews}, hosts=["localhost", "[::1]"])
    with TestClient(app, base_url="http://localhost:8000") as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/healthz", headers={"Host": "[::1]:8000"}).status_code == 200
        for host in ("attacker.example", "localhost.attacker.example", "127.0.0.1", ""):
            assert error(client.get("/healthz", headers={"Host": host}), 403) == "unknown_host"
        same = client.get("/healthz", headers={"Origin": "http://localhost:8000"})
        assert same.status_code == 200
        for origin in ("http://localhost:1", "https://attacker.example", "null", "http://[", "a"):
            refused = client.get("/healthz", headers={"Origin": origin})
            assert error(refused, 403) == "other_origin"


def test_pages_of_other_sites_may_be_allowed(reviews: zoo.TrainedModel) -> None:
    origin = "https://example.org"
    app = create_app({"reviews": reviews}, origins=[origin], token="secret")
    with TestClient(app) as client:
        preflight = client.options(
            "/v1/predict",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == origin
        given = {"Origin": origin, "Authorization": "Bearer secret"}
        refused = client.post("/v1/predict", json={}, headers=given)
        assert error(refused, 422) == "invalid_request"
        assert refused.headers["access-control-allow-origin"] == origin, "it may read why"
        refused = client.post("/v1/predict", json={}, headers={"Origin": origin})
        assert error(refused, 401) == "unauthorized"
        assert refused.headers["access-control-allow-origin"] == origin
        assert refused.headers["access-control-expose-headers"] == "Retry-After"
        # Without a length in advance, so that it is refused while it is read.
        body = iter([b" " * (2 << 20)] * 2)
        given |= {"Content-Type": "application/json"}
        refused = client.post("/v1/predict", content=body, headers=given)
        assert error(refused, 413) == "body_too_large"
        assert refused.headers["access-control-allow-origin"] == origin
    with TestClient(create_app({"reviews": reviews})) as client:
        answer = client.get("/v1/models")
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_token_is_asked_for_where_there_is_one(reviews: zoo.TrainedModel) -> None:
    with TestClient(create_app({"reviews": reviews}, token="s\u00e9cret")) as client:
        for headers in (
            {}, {"Authorization": "Bearer other"}, {"Authorization": "s\u00e9cret".encode()},
            {"Authorization": "Basic s\u00e9cret".encode()}, {"Authorization": "Bearer "},
        ):  # fmt: skip
            for path in ("/v1/models", "/metrics", "/no/such/path"):
                refused = client.get(path, headers=headers)
                assert error(refused, 401) == "unauthorized"
                assert refused.headers["www-authenticate"] == "Bearer"
        given = {"Authorization": "Bearer s\u00e9cret".encode()}
        assert client.get("/v1/models", headers=given).status_code == 200
        for path in ("/", "/docs", "/static/app.js", "/healthz", "/openapi.json"):
            assert client.get(path).status_code == 200


def test_answers_have_safe_headers(client: TestClient) -> None:
    for path in ("/", "/docs", "/static/app.js", "/v1/models", "/no/such/path"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    etag = client.get("/").headers["etag"]
    assert client.get("/", headers={"If-None-Match": etag}).status_code == 304
    for name in ("../app.py", "..%2fapp.py", "%00", "app.py", ""):
        assert client.get(f"/static/{name}").status_code == 404


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20)
    | st.floats(allow_subnormal=False),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
KEYS = st.sampled_from(
    ["model", "text", "texts", "prompt", "length", "temperature", "top_k", "top_p", "seed",
     "stream", "target"]
)  # fmt: skip
VALUES = JSON | st.sampled_from(["reviews", "writer", "The ", 5, 0, -1, True, ["a"], 1e308, 1e-300])
BODIES = st.one_of(
    st.dictionaries(KEYS, VALUES, max_size=5).map(lambda body: json.dumps(body).encode()),
    st.dictionaries(KEYS | st.text(max_size=5), VALUES).map(lambda body: json.dumps(body).encode()),
    JSON.map(lambda body: json.dumps(body).encode()),
    st.binary(max_size=6000),
)
PATHS = st.sampled_from(
    ["/v1/predict", "/v1/generate", "/v1/embed", "/v1/explain", "/v1/models", "/v1/models/reviews",
     "/", "/docs", "/metrics", "/healthz", "/static/app.js"]
) | st.text(max_size=30).map(lambda text: f"/{text}")  # fmt: skip
LATIN = st.characters(codec="latin-1")
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["authorization", "origin", "content-length", "content-type", "accept",
                         "if-none-match", "expect", "range", "x-forwarded-for", "cookie"]),
        st.text(LATIN, max_size=30) | st.sampled_from(["application/json", "-1", "1e9"]),
    ),
    max_size=3,
)  # fmt: skip


@settings(
    max_examples=2000 if FULL else 300, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    method=st.sampled_from(["POST"] * 6 + ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "X"]),
    path=PATHS, body=BODIES, headers=HEADERS, json_type=st.sampled_from([True] * 4 + [False]),
)  # fmt: skip
def test_no_request_is_an_internal_error(
    method: str, path: str, body: bytes, headers: list[tuple[str, str]], json_type: bool,
    client: TestClient,
) -> None:  # fmt: skip
    """Whatever a client sends, as the server hands it on: any bytes in the path and in headers."""
    sent: list[Any] = []
    arrived = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if arrived:
            return arrived.pop()
        await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [("host", "localhost"), *headers]
    if json_type:
        pairs.insert(0, ("content-type", "application/json"))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(errors="surrogatepass"),
        "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("a", 1),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in pairs],
        "state": {},
    }  # fmt: skip
    assert client.portal is not None
    client.portal.call(client.app, scope, receive, send)
    start, *pieces = sent
    assert start["status"] in (200, 304, 400, 403, 404, 405, 413, 415, 422, 501)
    content = b"".join(piece["body"] for piece in pieces)
    if start["status"] >= 400 and method != "HEAD":
        assert set(json.loads(content)) == {"error"}


# Batches


def test_texts_of_several_requests_are_computed_together() -> None:
    batches: list[list[str]] = []

    async def compute(operation: tuple[str, str], texts: list[str]) -> list[str]:
        batches.append(texts)
        if "bad" in texts:
            raise zoo.errors.DataError("bad")
        return [f"{operation[1]}{text}" for text in texts]

    async def ask() -> list[Any]:
        batcher = Batcher(compute, 1, 100, 30)
        requests = [
            batcher.submit(("a", operation), texts)
            for operation, texts in (("1", ["x"]), ("1", ["y", "z"]), ("1", ["bad"]), ("2", ["x"]))
        ]
        try:
            return list(await asyncio.gather(*requests, return_exceptions=True))
        finally:
            await batcher.close()

    first, second, third, fourth = asyncio.run(ask())
    assert (first, second, fourth) == (["1x"], ["1y", "1z"], ["2x"])
    assert isinstance(third, zoo.errors.DataError), "one bad text fails alone"
    assert batches[0] == ["x", "y", "z", "bad"]


async def echo(operation: tuple[str, str], texts: list[str]) -> list[str]:
    return texts


def test_a_queue_takes_no_more_than_it_may() -> None:
    async def ask() -> None:
        batcher = Batcher(echo, 1, 2, 30)
        waiting = asyncio.ensure_future(batcher.submit(("a", ""), ["x", "y"]))
        await asyncio.sleep(0)
        with pytest.raises(Refused):
            await batcher.submit(("a", ""), ["z"])
        assert await waiting == ["x", "y"]
        await batcher.close()

    asyncio.run(ask())


def test_a_text_does_not_wait_for_a_batch_that_takes_long() -> None:
    async def ask() -> None:
        free = asyncio.Event()

        async def compute(operation: tuple[str, str], texts: list[str]) -> list[str]:
            if operation == ("explain", ""):
                await free.wait()
            return texts

        batcher = Batcher(compute, 2, 100, 30)
        slow = asyncio.ensure_future(batcher.submit(("explain", ""), ["x"]))
        await asyncio.sleep(0.01)
        assert await asyncio.wait_for(batcher.submit(("predict", ""), ["y"]), 10) == ["y"]
        assert not slow.done()
        free.set()
        assert await slow == ["x"]
        await batcher.close()

    asyncio.run(ask())


def test_each_request_has_the_time_that_it_may_take() -> None:
    async def ask() -> list[Any]:
        batcher = Batcher(lambda operation, texts: asyncio.sleep(60, texts), 1, 100, 0.3)
        requests = []
        for text in "xyz":
            requests.append(asyncio.ensure_future(batcher.submit(("a", ""), [text])))
            await asyncio.sleep(0.1)
        requests[1].cancel()
        found = await asyncio.gather(*requests, return_exceptions=True)
        await batcher.close()
        return found

    first, second, third = asyncio.run(ask())
    assert isinstance(first, TimeoutError)
    assert isinstance(second, asyncio.CancelledError)
    assert isinstance(third, TimeoutError)


# The command


def test_help_imports_neither_the_server_nor_torch() -> None:
    code = (
        "import sys; from zoo.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'torch', 'fastapi', 'uvicorn', 'pydantic', 'numpy'}\n"
        "print(heavy & sys.modules.keys(), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stderr == "set()\n"
    assert "--max-texts" in done.stdout


def test_a_missing_extra_is_told_with_the_line_that_installs_it(sentiment_run: Path) -> None:
    code = "import sys; sys.modules['fastapi'] = None; from zoo.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", sentiment_run],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'seqzoo[serve]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_models_are_served_under_their_names(sentiment_run: Path, char_lm_run: Path) -> None:
    from zoo_serve.server import load_models

    file = sentiment_run / "weights.safetensors"
    assert [*load_models([str(sentiment_run), f"b={char_lm_run}", str(file)])] == [
        "sentiment", "b", "weights"
    ]  # fmt: skip
    for names in ([str(sentiment_run)] * 2, [f"a/b={file}"], [f"={file}"], ["no-such-recipe"]):
        with pytest.raises(zoo.ZooError):
            load_models(names)


def test_nothing_is_said_of_the_versions_of_published_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))  # Where it is remembered that it was said.
    create_app({"imdb-bilstm": zoo.load("imdb-bilstm")})
    assert [warning for warning in recwarn if issubclass(warning.category, ZooWarning)] == []
