"""``zoo serve`` as a process: many clients at once, clients that go away, signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from served import Server, serving

import zoo

pytest.importorskip("fastapi", reason="needs seqzoo[serve]")
httpx = pytest.importorskip("httpx", reason="needs httpx")

TOKENS = 1_000_000
LONG = {"prompt": "The ", "length": TOKENS, "stream": True}
ENDLESS = ("--max-tokens", str(TOKENS), "--timeout", "600")


@pytest.fixture(scope="module")
def server(sentiment_run: Path, char_lm_run: Path) -> Iterator[Server]:
    with serving(sentiment_run, f"writer={char_lm_run}", *ENDLESS) as found:
        yield found


def metric(server: Server, name: str) -> float:
    text = httpx.get(f"{server.address}/metrics").text
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return float(line.rpartition(" ")[2])


def eventually(happens: Callable[[], bool]) -> bool:
    for _ in range(300):
        if happens():
            return True
        time.sleep(0.1)
    return False


def test_64_clients_are_answered_as_the_model_answers(server: Server, sentiment_run: Path) -> None:
    texts = [
        f"film number {n} was {'good' if n % 3 else 'bad'}" + " very" * (n % 7) for n in range(192)
    ]
    expected = list(zoo.load(sentiment_run).predict(texts))
    found: dict[str, Any] = {}

    def ask(client: int) -> None:
        with httpx.Client(base_url=server.address, timeout=60) as connection:
            for text in texts[client::64]:
                body = {"model": "sentiment", "text": text}
                (found[text],) = connection.post("/v1/predict", json=body).json()["predictions"]

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(ask, range(64)))
    for prediction in expected:
        answer = found[prediction.text]
        assert answer["label"] == prediction.label  # type: ignore[attr-defined]
        assert answer["scores"] == pytest.approx(prediction.scores, abs=1e-5)  # type: ignore[attr-defined]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_stops_its_generation(stream: bool, server: Server) -> None:
    body = json.dumps({**LONG, "model": "writer", "stream": stream}).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        if stream:
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert eventually(lambda: metric(server, "zoo_running_generations") == 1)
    assert eventually(lambda: metric(server, "zoo_running_generations") == 0)
    assert metric(server, 'zoo_generated_tokens_total{model="writer"}') < TOKENS


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"\0" * 100 + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /%ff%fe/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    ],
    ids=range(9),
)
def test_what_is_not_http_is_refused_and_the_server_goes_on(sent: bytes, server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(4096):
                answer += part
        except ConnectionError:
            answer = b""
    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200"))
    assert b"Traceback" not in answer
    assert httpx.get(f"{server.address}/healthz").status_code == 200


def test_a_dns_name_that_is_led_here_is_refused(server: Server) -> None:
    answer = httpx.get(f"{server.address}/v1/models", headers={"Host": "attacker.example"})
    assert answer.status_code == 403


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_in_progress_end(number: signal.Signals, char_lm_run: Path) -> None:
    with serving(char_lm_run, *ENDLESS, "--drain", "3") as server:
        events: list[str] = []
        begun = threading.Event()

        def read() -> None:
            with httpx.stream("POST", f"{server.address}/v1/generate", json=LONG, timeout=60) as r:
                for line in r.iter_lines():
                    events.append(line)
                    begun.set()

        with httpx.Client(base_url=server.address, timeout=60) as other:
            assert other.get("/healthz").json() == {"status": "ok"}
            reader = threading.Thread(target=read)
            reader.start()
            assert begun.wait(60)
            server.process.send_signal(number)
            with pytest.raises(httpx.TransportError):
                for _ in range(100):
                    # The server does not listen any more; what is still answered says why.
                    answer = httpx.get(f"{server.address}/healthz")
                    assert answer.status_code in (200, 503)
                    time.sleep(0.05)
            assert server.process.poll() is None, "a request is in progress"
        reader.join(60)
        assert server.process.wait(60) == 0
        assert events[-3] == "event: end"
        assert json.loads(events[-2].removeprefix("data: "))["reason"] == "shutdown"
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


def children(process: subprocess.Popen[str]) -> list[int]:
    return [
        int(pid)
        for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="threads compute elsewhere")
def test_processes_that_compute_end_with_the_server_alone(sentiment_run: Path) -> None:
    with serving(f"m={sentiment_run}", "--workers", "2") as server:
        found = children(server.process)
        assert len(found) == 2
        for pid in found:  # As Ctrl-C and service managers do, which signal the whole group.
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
        body = {"texts": ["A film to remember."] * 3}
        answer = httpx.post(f"{server.address}/v1/predict", json=body, timeout=60)
        assert len(answer.json()["predictions"]) == 3
        server.process.kill()
        assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in found))


@pytest.mark.skipif(sys.platform != "linux", reason="threads compute elsewhere")
def test_a_process_that_is_killed_ends_the_server_with_a_line(sentiment_run: Path) -> None:
    with serving(sentiment_run, "--workers", "1") as server:
        for pid in children(server.process):
            os.kill(pid, signal.SIGKILL)
        answer = httpx.post(f"{server.address}/v1/predict", json={"text": "a"}, timeout=60)
        assert answer.status_code == 500
        assert answer.json()["error"]["code"] == "internal_error"
        assert server.process.wait(60) == 1
        assert server.process.stderr is not None
        last = server.process.stderr.read().splitlines()[-1]
        assert last.startswith(
            "error: the server ended: a process that computes ended with signal 9"
        )


NOT_STARTED = """
import multiprocessing, sys
from zoo_serve.server import load_models, serve

class Failing(list):  # Is read after the processes are there, and before the server runs.
    def __iter__(self):
        print(len(multiprocessing.active_children()), flush=True)
        raise OSError

try:
    serve(load_models([sys.argv[1]], "cpu"), port=0, workers=2, proxies=Failing())
except OSError:
    print(len(multiprocessing.active_children()), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads compute elsewhere")
def test_no_process_stays_where_the_server_does_not_start(sentiment_run: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOT_STARTED, str(sentiment_run)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "2\n0\n"), done.stderr


def test_an_idle_server_ends_at_once_and_well(char_lm_run: Path) -> None:
    with serving(char_lm_run) as server:
        connection = socket.create_connection(("127.0.0.1", server.port))  # Sends nothing.
        server.process.terminate()
        assert server.process.wait(30) == 0
        connection.close()


def test_an_address_in_use_is_told_in_a_line(server: Server, sentiment_run: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "serve", str(sentiment_run), "--port", str(server.port)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "cannot listen on 127.0.0.1" in done.stderr


def test_the_token_may_come_from_the_environment(char_lm_run: Path) -> None:
    with serving(char_lm_run, env={"ZOO_SERVE_TOKEN": "secret"}) as server:
        address = f"{server.address}/v1/models"
        assert httpx.get(address).status_code == 401
        given = httpx.get(address, headers={"Authorization": "Bearer secret"})
        assert given.status_code == 200
