"""Downloads, from a server on this machine that can give wrong answers."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from zoo.data import download, locks
from zoo.data.download import fetch
from zoo.data.source import is_downloaded, locate
from zoo.errors import DataError, DiskError, NetworkError, UsageError, ZooWarning
from zoo.files import cache_folder
from zoo.recipes import RecipeFile
from zoo.records import DatasetInfo
from zoo.registry import Registry
from zoo.settings import find_dataset

CONTENT = b"THE FIRST LINE\n" + bytes(range(256)) * 500
CHANGED = CONTENT + b"an edit\nTHE LAST LINE\n"
ADDRESS = "http://127.0.0.1:{port}/folder/book.txt?version=2"


class Server(ThreadingHTTPServer):
    """Gives the answer that a test sets, and counts requests."""

    status = 200
    content = CONTENT
    announced = len(CONTENT)
    delay = 0.0
    requests = 0
    # Writes an answer of its own in place of all this.
    reply: Callable[[Handler], None] | None = None

    def dataset(self, **changes: Any) -> DatasetInfo:
        values = {
            "name": "book",
            "summary": "",
            "url": ADDRESS.format(port=self.server_port),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "bytes": len(CONTENT),
        }
        return DatasetInfo(**{**values, **changes})

    def answer(self, content: bytes, announced: int | None = None) -> None:
        self.content = content
        self.announced = len(content) if announced is None else announced


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        time.sleep(self.server.delay)
        if self.server.reply is not None:
            # The reader goes away when it has had enough.
            with contextlib.suppress(OSError):
                self.server.reply(self)
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(self.server.announced))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def left(folder: Path) -> list[str]:
    """Return what lies in the folder beside lock files."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_good_file_arrives_once(server: Server, tmp_path: Path) -> None:
    path = fetch(server.dataset(), tmp_path)
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == [path.name]
    assert fetch(server.dataset(), tmp_path) == path
    assert server.requests == 1


def registry_of(dataset: DatasetInfo) -> Registry:
    return Registry([], RecipeFile(Path(), datasets={dataset.name: dataset}))


def test_a_data_set_is_found_by_name_and_cached(server: Server) -> None:
    registry = registry_of(server.dataset())
    path = locate("book", find_dataset("book", registry))
    assert path is not None
    assert path.is_relative_to(cache_folder())
    assert path.read_bytes() == CONTENT


def truncated(server: Server) -> None:
    server.answer(CONTENT[:1000], announced=len(CONTENT))


def missing(server: Server) -> None:
    server.status = 404


def broken(server: Server) -> None:
    server.status = 503


def other_bytes(server: Server) -> None:
    server.answer(CONTENT[:-1] + b"!")


def shorter(server: Server) -> None:
    server.answer(CONTENT[:1000])


def empty(server: Server) -> None:
    server.answer(b"")


@pytest.mark.parametrize(
    ("misbehave", "error", "words"),
    [
        (truncated, NetworkError, "download failed"),
        (missing, NetworkError, "404"),
        (broken, NetworkError, "503"),
        (other_bytes, DataError, "not the file that was published"),
        (shorter, DataError, f"1000 bytes.* expected {len(CONTENT)}"),
        (empty, DataError, "0 bytes"),
    ],
)
def test_a_bad_answer_leaves_no_file_and_a_later_good_one_is_stored(
    misbehave: Callable[[Server], None],
    error: type[Exception],
    words: str,
    server: Server,
    tmp_path: Path,
) -> None:
    misbehave(server)
    with pytest.raises(error, match=words) as failure:
        fetch(server.dataset(), tmp_path)
    assert ADDRESS.format(port=server.server_port) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert left(tmp_path) == []
    server.status = 200
    server.answer(CONTENT)
    assert fetch(server.dataset(), tmp_path).read_bytes() == CONTENT


def head(handler: Handler, *lines: str, status: int = 200) -> None:
    text = "\r\n".join([f"HTTP/1.1 {status} as told", *lines, "", ""])
    handler.wfile.write(text.encode("latin-1"))


def endless(handler: Handler) -> None:
    head(handler)
    while True:
        handler.wfile.write(CONTENT)


def endless_chunks(handler: Handler) -> None:
    head(handler, "Transfer-Encoding: chunked")
    while True:
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(CONTENT), CONTENT))


def compressed(handler: Handler) -> None:
    body = gzip.compress(bytes(1 << 26))
    head(handler, "Content-Encoding: gzip", f"Content-Length: {len(body)}")
    handler.wfile.write(body)


@pytest.mark.parametrize("reply", [endless, endless_chunks, compressed])
@pytest.mark.parametrize("contains", [(), ("THE FIRST LINE",)])
def test_no_more_is_written_than_the_data_set_has(
    reply: Callable[[Handler], None], contains: tuple[str, ...], server: Server, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sizes = []
    unlink = Path.unlink

    def watched(path: Path, missing_ok: bool = False) -> None:
        if path.exists():
            sizes.append(path.stat().st_size)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", watched)
    server.reply = reply
    with pytest.raises(DataError, match=r"not the file that was published.*: more than"):
        fetch(server.dataset(contains=contains), tmp_path)
    assert max(sizes) <= len(CONTENT) * (2 if contains else 1) + (1 << 20) * bool(contains)
    assert left(tmp_path) == []


def dripping_body(handler: Handler) -> None:
    head(handler, f"Content-Length: {len(CONTENT)}")
    while True:
        handler.wfile.write(b"a")
        time.sleep(0.05)


def dripping_head(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nServer: ")
    while True:
        handler.wfile.write(b"a")
        time.sleep(0.05)


def silent(handler: Handler) -> None:
    time.sleep(2)


@pytest.mark.parametrize("reply", [dripping_body, dripping_head, silent])
@pytest.mark.parametrize("limit", ["IDLE_SECONDS", "TOTAL_SECONDS"])
def test_a_slow_server_is_given_up(
    reply: Callable[[Handler], None], limit: str, server: Server, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(download, limit, 0.5)
    server.reply = reply
    with pytest.raises(NetworkError, match=r"too slow|timed out"):
        fetch(server.dataset(), tmp_path)
    assert left(tmp_path) == []


def redirect_to(location: str) -> Callable[[Handler], None]:
    return lambda handler: head(
        handler, f"Location: {location}", "Content-Length: 0", "Connection: close", status=302
    )


def body_of_another_form(line: str) -> Callable[[Handler], None]:
    def reply(handler: Handler) -> None:
        head(handler, line)
        handler.wfile.write(b"zz\r\n")

    return reply


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (redirect_to("http://example.org/book.txt"), "not https"),
        (redirect_to("ftp://127.0.0.1/book.txt"), "not https"),
        (redirect_to("file:///etc/passwd"), "not https"),
        (redirect_to("http://["), "Invalid IPv6 URL"),
        (redirect_to("http://127.0.0.1:99999999/"), "download failed"),
        (redirect_to("http://127.0.0.1:port/"), "download failed"),
        (redirect_to("https://" + "a" * 70 + "/"), "download failed"),
        (redirect_to("/again"), "more than 5 redirects"),
        (lambda handler: head(handler, "Content-Length: many"), "download failed|not the file"),
        (lambda handler: head(handler, "Content-Length: -5"), "download failed|not the file"),
        (lambda handler: head(handler, "Content-Length: 5, 6"), "download failed"),
        (lambda handler: head(handler, f"Content-Length: {'9' * 5000}"), "download failed|not the"),
        (lambda handler: head(handler, *["A: b"] * 200), "download failed"),
        (lambda handler: head(handler, "A: " + "b" * 100_000), "download failed"),
        (lambda handler: handler.wfile.write(b"\xff" * 100), "download failed"),
        (lambda handler: handler.wfile.write(b"HTTP/1.1 999999 no\r\n\r\n"), "download failed"),
        (body_of_another_form("Transfer-Encoding: chunked"), "download failed"),
        (body_of_another_form("Content-Encoding: gzip"), "download failed"),
    ],
)  # fmt: skip
def test_a_malformed_answer_is_one_line(
    reply: Callable[[Handler], None], words: str, server: Server, tmp_path: Path
) -> None:
    server.reply = reply
    with pytest.raises((NetworkError, DataError), match=words) as failure:
        fetch(server.dataset(), tmp_path)
    assert "\n" not in str(failure.value)
    assert left(tmp_path) == []


def test_a_redirect_on_this_machine_is_followed(server: Server, tmp_path: Path) -> None:
    redirect = redirect_to("/elsewhere")

    def reply(handler: Handler) -> None:
        server.reply = None
        redirect(handler)

    server.reply = reply
    assert fetch(server.dataset(), tmp_path).read_bytes() == CONTENT
    assert server.requests == 2


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b", "a\\b", "", "..", "a\0b", "x" * 300])
def test_a_name_that_leads_elsewhere_is_refused(name: str, server: Server, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not that of a file"):
        fetch(server.dataset(name=name), tmp_path / "downloads")
    assert not list(tmp_path.iterdir())
    assert server.requests == 0


@pytest.mark.parametrize("path", ["a%2Fb", "..", "a\\..\\b", "x" * 300, "caf\u00e9?q=/../.."])
def test_any_path_of_an_address_is_a_name_in_the_cache(
    path: str, server: Server, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{server.server_port}/{path}"
    assert fetch(server.dataset(url=url), tmp_path / "downloads").parent == tmp_path / "downloads"


def test_waiting_for_another_process_is_told_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "NOTICE_SECONDS", 0.05)
    server.delay = 0.5
    with ThreadPoolExecutor(1) as pool, pytest.warns(ZooWarning) as told:
        pool.submit(fetch, server.dataset(), tmp_path)
        while not server.requests:
            time.sleep(0.01)
        fetch(server.dataset(), tmp_path)
    assert [str(warning.message)[:44] for warning in told] == [
        "waiting for another process that downloads b"
    ]


def test_a_server_that_does_not_run_is_a_network_error(server: Server, tmp_path: Path) -> None:
    dataset = server.dataset()
    server.shutdown()
    server.server_close()
    with pytest.raises(NetworkError):
        fetch(dataset, tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("name", ["book.txt", "my%20book.txt", f"{'a' * 120}.txt"])
def test_a_data_set_is_known_to_be_downloaded_whatever_its_address(
    name: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    url = ADDRESS.format(port=server.server_port).replace("book.txt", name)
    dataset = server.dataset(url=url)
    assert not is_downloaded(dataset)
    path = locate(dataset.name, dataset)
    assert is_downloaded(dataset)
    assert path == download.download_path(dataset)


def test_a_damaged_file_in_the_cache_is_downloaded_again(server: Server, tmp_path: Path) -> None:
    path = fetch(server.dataset(), tmp_path)
    path.write_bytes(CONTENT[:-7])
    assert fetch(server.dataset(), tmp_path).read_bytes() == CONTENT
    assert server.requests == 2


def test_the_part_of_a_killed_download_is_not_used(server: Server, tmp_path: Path) -> None:
    final = fetch(server.dataset(), tmp_path)
    final.unlink()
    (tmp_path / f".{final.name}.part").write_bytes(CONTENT[:50])
    assert fetch(server.dataset(), tmp_path).read_bytes() == CONTENT
    assert left(tmp_path) == [final.name]


@pytest.mark.parametrize(
    "url", ["http://example.org/book.txt", "ftp://example.org/a", "http://[", "https:///a"]
)
def test_an_address_that_is_not_https_is_refused(url: str, server: Server, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="address is"):
        fetch(server.dataset(url=url), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_changed_file_is_accepted_only_with_the_texts_it_must_contain(
    server: Server, tmp_path: Path
) -> None:
    server.answer(CHANGED)
    with pytest.raises(DataError):
        fetch(server.dataset(), tmp_path)
    with pytest.raises(DataError):
        fetch(server.dataset(contains=("THE FIRST LINE", "another")), tmp_path)
    assert left(tmp_path) == []
    dataset = server.dataset(contains=("THE FIRST LINE", "THE LAST LINE"))
    changed = rf"has changed since .* {len(CHANGED)} bytes.*{hashlib.sha256(CHANGED).hexdigest()}"
    with pytest.warns(ZooWarning, match=changed):
        path = fetch(dataset, tmp_path)
    assert path.read_bytes() == CHANGED
    # The next time it comes from the cache, with the same warning.
    requests = server.requests
    with pytest.warns(ZooWarning, match=changed):
        assert fetch(dataset, tmp_path) == path
    assert server.requests == requests


def test_an_unchanged_file_gives_no_warning(server: Server, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ZooWarning)
        fetch(server.dataset(contains=("THE FIRST LINE",)), tmp_path)


def test_many_threads_download_once(server: Server, tmp_path: Path) -> None:
    server.delay = 0.2
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch(server.dataset(), tmp_path), range(4)))
    assert len(set(paths)) == 1
    assert paths[0].read_bytes() == CONTENT
    assert server.requests == 1


def test_two_processes_download_once(server: Server, tmp_path: Path) -> None:
    server.delay = 1.0
    script = (
        "import sys; from pathlib import Path; from zoo.data.download import fetch;"
        "from zoo.records import DatasetInfo;"
        f"print(fetch({server.dataset()!r}, Path(sys.argv[1])).stat().st_size)"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    sizes = [process.communicate(timeout=60)[0].strip() for process in both]
    assert sizes == [str(len(CONTENT)).encode()] * 2
    assert server.requests == 1


def test_a_cache_that_cannot_be_written_is_a_disk_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DiskError):
        fetch(server.dataset(), tmp_path / "file" / "downloads")


def test_data_that_is_neither_a_name_nor_a_path_is_refused(server: Server, tmp_path: Path) -> None:
    registry = registry_of(server.dataset())
    with pytest.raises(DataError, match=r"no data 'bok' \(did you mean 'book'\?\)"):
        find_dataset("bok", registry)
    with pytest.raises(DataError, match="no data 'bok'"):
        locate("bok", None)
    assert locate("", None) is None
    assert locate("sample", None) is None
    assert locate(str(tmp_path), None) == tmp_path
    assert server.requests == 0
