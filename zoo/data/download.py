"""Downloads: a file is verified before it gets its name."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from urllib.parse import urlsplit

from zoo.errors import DataError, DiskError, NetworkError, UsageError, ZooWarning
from zoo.files import cache_folder, digest
from zoo.records import DatasetInfo

TIMEOUT_SECONDS = 30
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def fetch(dataset: DatasetInfo, folder: Path | None = None) -> Path:
    """Return the file of a data set, downloading it if it is not in the cache.

    Length and sha256 are checked before the file gets its name, and one process downloads at a
    time. A file with other bytes is accepted only where the data set lists texts that it must
    contain and it does; a warning says which bytes are used.

    Raises:
        UsageError: The address is neither https nor on this machine.
        NetworkError: The file did not arrive.
        DataError: What arrived is not what the data set describes.
        DiskError: The cache cannot be written.
    """
    import pooch
    import requests
    from filelock import FileLock

    address = urlsplit(dataset.url)
    if address.scheme != "https" and address.hostname not in LOOPBACK:
        raise UsageError("address is not https", where=f"data set {dataset.name}", why=dataset.url)
    folder = folder or cache_folder() / "downloads"
    path = folder / f"{dataset.name}-{Path(address.path).name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock")):
            if path.exists() and _accepted(path, dataset):
                return path
            part = path.with_name(f".{path.name}.part")
            # pooch would take what a killed process left for the download.
            part.unlink(missing_ok=True)
            arriving = pooch.retrieve(
                dataset.url,
                known_hash=None,
                fname=part.name,
                path=folder,
                downloader=pooch.HTTPDownloader(
                    progressbar=sys.stderr.isatty(), timeout=TIMEOUT_SECONDS
                ),
            )
            try:
                if not _accepted(Path(arriving), dataset):
                    raise DataError(
                        "download is not the file that was published",
                        where=dataset.url,
                        why=f"{Path(arriving).stat().st_size} bytes, sha256 "
                        f"{digest(Path(arriving))}; expected {dataset.bytes}, {dataset.sha256}",
                        fix="try again, or give a copy with --data",
                    )
                Path(arriving).replace(path)
            finally:
                Path(arriving).unlink(missing_ok=True)
    except requests.exceptions.RequestException as error:
        raise NetworkError(
            "download failed",
            where=dataset.url,
            why=str(error).splitlines()[0],
            fix="try again, or give a copy with --data",
        ) from error
    except OSError as error:
        raise DiskError("cannot keep the download", where=str(folder), why=str(error)) from error
    return path


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
