"""Shards behind URLs: a server with ranges, servers that misbehave, and S3 by moto's server."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.data.shards import list_shards
from zoo.data.source import locate
from zoo.errors import DataError, NetworkError, UsageError
from zoo_text.options import TextOptions
from zoo_text.shards.layout import look
from zoo_text.shards.table import load

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

LABELS = ("bad", "good")
TEXTS = [f"The text number {n} is {LABELS[n % 2]}, {'so ' * (n % 7)}." for n in range(90)]


class Handler(BaseHTTPRequestHandler):
    """Answers HEAD and GET with ranges, or as the server's ``fault`` says."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        del format, args

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        self.server.requests.append((self.command, self.path, self.headers.get("Range", "")))
        content = self.server.files.get(self.path.rsplit("/", 1)[-1])
        fault = self.server.fault if body else ""
        if self.server.failures and body:
            self.server.failures -= 1
            fault = "status"
        if content is None or fault == "status":
            self.send_response(404 if content is None else 500)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first, after, status = 0, len(content), 200
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, status = int(found[1]), 206
            after = min(int(found[2] or len(content)) + 1, len(content))
        part = content[first:after]
        self.send_response(status)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{self.server.version}"')
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{after - 1}/{len(content)}")
        self.end_headers()
        if body and fault == "cut":
            self.wfile.write(part[: len(part) // 2])
            self.close_connection = True
        elif body:
            self.wfile.write(part)
        if self.server.changes:
            self.server.version += 1


class Server(ThreadingHTTPServer):
    daemon_threads = True
    fault = ""
    failures = 0
    changes = False
    version = 1

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, str]] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/data/{name}"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of three shards in Parquet and in JSONL."""
    for n in range(3):
        part = TEXTS[30 * n : 30 * n + 30]
        labels = ["good" if "good" in text else "bad" for text in part]
        # A column that is not read, and is most of the file.
        noise = list(np.random.default_rng(n).random((len(part), 20_000)))
        frame = pandas.DataFrame({"noise": noise, "text": part, "label": labels})
        frame.to_parquet(tmp_path / f"x-{n:05}-of-00003.parquet")
        frame.drop(columns="noise").to_json(
            tmp_path / f"x-{n:05}-of-00003.jsonl", orient="records", lines=True
        )
    return tmp_path


@pytest.fixture
def server(files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr("zoo_text.shards.copying.time.sleep", lambda seconds: None)
    server = Server()
    server.files = {path.name: path.read_bytes() for path in files.iterdir()}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def read(pattern: str) -> list[str]:
    found = list_shards(pattern)
    return list(load(found, look(found, TextOptions(), "auto"), 1).texts)


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_one_url_of_a_numbered_set_stands_for_all(form: str, server: Server) -> None:
    assert read(server.url(f"x-00000-of-00003.{form}")) == TEXTS
    assert read(server.url(f"x-*-of-00003.{form}")) == TEXTS


def test_of_parquet_files_the_columns_that_are_used_are_copied(server: Server) -> None:
    found = list_shards(server.url("x-00000-of-00003.parquet"))
    layout = look(found, TextOptions(), "auto")
    server.requests.clear()  # To choose columns, the first rows of all of them were read.
    load(found, layout, 1)
    ranges = [re.findall(r"\d+", fetched) for _, _, fetched in server.requests if fetched]
    assert ranges
    fetched = sum(int(last) - int(first) + 1 for first, last in ranges)
    assert fetched < found.size / 10


def test_a_url_is_read_as_the_same_data_by_the_next_process(server: Server) -> None:
    url = server.url("x-00000-of-00003.jsonl")
    read(url)
    before = len([command for command, _, _ in server.requests if command == "GET"])
    assert locate(url, None) == locate(url, None)
    found = list_shards(url)
    load(found, look(found, TextOptions(), "auto"), 1)
    gets = len([command for command, _, _ in server.requests if command == "GET"]) - before
    # The first rows alone are looked at again.
    assert gets < before


def test_a_server_that_fails_once_is_asked_again(server: Server) -> None:
    found = list_shards(server.url("x-00000-of-00003.jsonl"))
    layout = look(found, TextOptions(), "auto")
    server.failures = 1
    assert list(load(found, layout, 1).texts) == TEXTS


@pytest.mark.parametrize("fault", ["status", "cut"])
@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_server_that_misbehaves_is_a_line_that_names_the_shard(
    fault: str, form: str, server: Server
) -> None:
    found = list_shards(server.url(f"x-00000-of-00003.{form}"))
    layout = look(found, TextOptions(), "auto")
    server.fault = fault
    with pytest.raises(NetworkError, match=rf"cannot read the shard in http.*{form}") as raised:
        load(found, layout, 1)
    assert raised.value.exit_code == 7
    assert "\n" not in str(raised.value)


def test_a_remote_shard_that_is_missing_or_changes_is_named(server: Server) -> None:
    url = server.url("x-00000-of-00003.jsonl")
    content = server.files.pop("x-00001-of-00003.jsonl")
    with pytest.raises(DataError, match=r"a shard is missing in http.*x-00001-of-00003\.jsonl"):
        list_shards(url)
    server.files["x-00001-of-00003.jsonl"] = content
    found = list_shards(url)
    server.version += 1
    with pytest.raises(DataError, match=r"changed since it was listed in .*x-00000-of-00003"):
        load(found, look(found, TextOptions(), "auto"), 1)


def test_a_server_that_is_not_there_is_a_network_error() -> None:
    pytest.importorskip("aiohttp")
    with pytest.raises(NetworkError, match=r"cannot read the shard in http://127\.0"):
        list_shards("http://127.0.0.1:1/x.parquet")


def test_memory_and_file_urls_are_read(files: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in files.glob("*.jsonl"):
        memory.pipe(f"/corpus/{path.name}", path.read_bytes())
    assert read("memory://corpus/*.jsonl") == TEXTS
    assert read(f"{files.as_uri()}/*.parquet") == TEXTS
    memory.rm("/corpus", recursive=True)


def test_without_fsspec_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UsageError, match=r"needs fsspec.*pip install 'seqzoo\[remote\]'"):
        list_shards("https://example.org/x.parquet")


def test_an_unknown_protocol_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="cannot read nowhere://"):
        list_shards("nowhere://x.parquet")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A bucket of moto's server."""
    pytest.importorskip("moto")
    s3fs = pytest.importorskip("s3fs")
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    settings = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": address}  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    process = subprocess.Popen(
        [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1",
         "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        system = s3fs.S3FileSystem(skip_instance_cache=True)
        system.mkdir("bucket")
        yield system
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_port


def test_a_bucket_of_s3_is_read_by_pattern_and_by_prefix(s3: Any, files: Path) -> None:
    for path in files.glob("*.parquet"):
        s3.pipe(f"bucket/corpus/{path.name}", path.read_bytes())
    assert read("s3://bucket/corpus/*.parquet") == TEXTS
    assert read("s3://bucket/corpus/x-00000-of-00003.parquet") == TEXTS
    assert read("s3://bucket/corpus") == TEXTS
    s3.rm("bucket/corpus/x-00001-of-00003.parquet")
    with pytest.raises(DataError, match=r"a shard is missing: x-00001-of-00003\.parquet"):
        list_shards("s3://bucket/corpus/*.parquet")
