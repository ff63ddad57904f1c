"""Downloads: a file is verified before it gets its name."""

from __future__ import annotations

import re
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from zoo.data.locks import locked
from zoo.errors import DataError, DiskError, NetworkError, UsageError, ZooWarning
from zoo.files import cache_folder, digest
from zoo.records import DatasetInfo

if TYPE_CHECKING:
    import requests

# Seconds for a connection, and within which a block of a file must arrive.
IDLE_SECONDS = 30.0
# Seconds for a whole file: 84 MB at 25 kB a second.
TOTAL_SECONDS = 3600.0
_BLOCK = 4096
# What a file that may have been edited can be longer than the one that was published.
_MARGIN_BYTES = 1 << 20
_MAX_REDIRECTS = 5
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_NAME = re.compile(r"\w[\w.+-]{0,99}")


def download_path(dataset: DatasetInfo, folder: Path | None = None) -> Path:
    """Return where :func:`fetch` keeps the file of a data set.

    Args:
        dataset: The data set.
        folder: Where downloads are kept; None: in the cache.
    """
    name = re.sub(r"[^\w.+-]", "_", Path(urlsplit(dataset.url).path).name)[-100:]
    return (folder or cache_folder() / "downloads") / f"{dataset.name}-{name}"


def fetch(dataset: DatasetInfo, folder: Path | None = None) -> Path:
    """Return the file of a data set, downloading it if it is not in the cache.

    Length and sha256 are checked before the file gets its name, and one process downloads at a
    time. No more arrives than the data set says, within an hour, and without a pause of 30 seconds.
    A file with other bytes is accepted only where the data set lists texts that it must
    contain and it does; a warning says which bytes are used.

    Args:
        dataset: The data set.
        folder: Where downloads are kept; None: in the cache.

    Raises:
        UsageError: The address is neither https nor on this machine, or the name of the data set
            is not one of a file.
        NetworkError: The file did not arrive.
        DataError: What arrived is not what the data set describes.
        DiskError: The cache cannot be written.
    """
    where = f"data set {dataset.name!r}"
    try:
        allowed = _is_allowed(dataset.url, dataset.url)
    except ValueError as error:
        raise UsageError("address is malformed", where=where, why=str(error)) from error
    if not allowed:
        raise UsageError("address is not https", where=where, why=dataset.url)
    if not _NAME.fullmatch(dataset.name):
        raise UsageError("name is not that of a file", where=where, fix="use letters and hyphens")
    path = download_path(dataset, folder)
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f"{path.name}.lock"), f"downloads {dataset.name}"):
            if path.exists() and _accepted(path, dataset):
                return path
            part = path.with_name(f".{path.name}.part")
            try:
                _download(dataset, part)
                if not _accepted(part, dataset):
                    raise _other(dataset, f"{part.stat().st_size} bytes, sha256 {digest(part)}")
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise DiskError("cannot keep the download", where=str(folder), why=str(error)) from error
    return path


def _download(dataset: DatasetInfo, path: Path) -> None:
    """Write what an address gives into a file, within the limits of length and time.

    A thread does it, because no timeout of a socket holds for an answer that comes byte by byte.
    """
    # Imported by this thread, so that a slow disk takes none of the time of the download.
    import requests
    import urllib3

    transfer = _Transfer(dataset, path)
    thread = threading.Thread(target=transfer.run, name="zoo-download", daemon=True)
    thread.start()
    begin = time.monotonic()
    try:
        while thread.is_alive():
            thread.join(0.1)
            now = time.monotonic()
            for since, limit in ((transfer.last, IDLE_SECONDS), (begin, TOTAL_SECONDS)):
                if thread.is_alive() and now - since > limit:
                    raise _failed(dataset, f"too slow: unfinished after {limit:,.0f} s")
    finally:
        transfer.stopped.set()
    network = (
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        # Lengths and addresses that are none.
        ValueError,
    )
    if isinstance(transfer.error, network):
        why = (str(transfer.error) or type(transfer.error).__name__).splitlines()[0]
        raise _failed(dataset, why) from transfer.error
    if transfer.error is not None:
        raise transfer.error


class _Transfer:
    """One download, in a thread of its own.

    Attributes:
        last: When a block arrived last.
        stopped: Set when nobody waits for the file any more.
        error: Why it failed.
    """

    def __init__(self, dataset: DatasetInfo, path: Path) -> None:
        self._dataset = dataset
        self._path = path
        self.last = time.monotonic()
        self.stopped = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._transfer()
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            self.error = error

    def _transfer(self) -> None:
        import requests
        from tqdm import tqdm

        dataset = self._dataset
        longest = dataset.bytes
        if dataset.contains:
            longest = 2 * longest + _MARGIN_BYTES
        is_shown = sys.stderr is not None and sys.stderr.isatty()
        with requests.Session() as session, self._answer(session) as response:
            response.raise_for_status()
            blocks = response.iter_content(_BLOCK)
            if self.stopped.is_set():
                return
            with (
                self._path.open("wb") as file,
                tqdm(total=dataset.bytes, unit="B", unit_scale=True, disable=not is_shown) as bar,
            ):
                for block in blocks:
                    if self.stopped.is_set():
                        return
                    self.last = time.monotonic()
                    if file.tell() + len(block) > longest:
                        raise _other(dataset, f"more than {longest:,} bytes")
                    file.write(block)
                    bar.update(len(block))

    def _answer(self, session: requests.Session) -> requests.Response:
        """Return the answer to the address, or to what it redirects to."""
        url = self._dataset.url
        for _ in range(_MAX_REDIRECTS):
            self.last = time.monotonic()
            response = session.get(
                url, stream=True, timeout=IDLE_SECONDS, allow_redirects=False,
                headers={"Accept-Encoding": "identity"},
            )  # fmt: skip
            if not response.is_redirect:
                return response
            response.close()
            url = urljoin(url, response.headers["location"])
            if not _is_allowed(url, self._dataset.url):
                raise _failed(self._dataset, f"redirected to {url!r}, which is not https")
        raise _failed(self._dataset, f"more than {_MAX_REDIRECTS} redirects")


def _is_allowed(url: str, start: str) -> bool:
    """Return whether an address is https, or on this machine like that of the data set."""
    address = urlsplit(url)
    is_local = {address.hostname, urlsplit(start).hostname} <= _LOOPBACK
    return bool(address.hostname) and (
        address.scheme == "https" or (address.scheme == "http" and is_local)
    )


def _failed(dataset: DatasetInfo, why: str) -> NetworkError:
    return NetworkError(
        "download failed", where=dataset.url, why=why, fix="try again, or give a copy with --data"
    )


def _other(dataset: DatasetInfo, found: str) -> DataError:
    return DataError(
        "download is not the file that was published",
        where=dataset.url,
        why=f"{found}; expected {dataset.bytes}, {dataset.sha256}",
        fix="try again, or give a copy with --data",
    )


def _accepted(path: Path, dataset: DatasetInfo) -> bool:
    if path.stat().st_size == dataset.bytes and digest(path) == dataset.sha256:
        return True
    if not dataset.contains:
        return False
    content = path.read_bytes()
    if not all(text.encode() in content for text in dataset.contains):
        return False
    warnings.warn(
        f"{dataset.url} has changed since it was published; using its {len(content)} bytes with "
        f"sha256 {digest(path)}",
        ZooWarning,
        stacklevel=2,
    )
    return True
