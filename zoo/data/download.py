"""Downloads that end in a verified file or in none."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from zoo.errors import DataError, DiskError, NetworkError, UsageError
from zoo.files import digest
from zoo.records import DatasetRow

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def cache_folder() -> Path:
    """Return where the zoo keeps downloads and encoded data: ``ZOO_CACHE``, or the user's cache."""
    import platformdirs

    return Path(os.environ.get("ZOO_CACHE") or platformdirs.user_cache_dir("zoo"))


def fetch(row: DatasetRow, folder: Path | None = None) -> Path:
    """Return the file of a data set, downloading it if the cache lacks it.

    Length and sha256 are checked before the file gets its name, and one process downloads at a
    time. A file with other bytes is accepted only where the row lists texts that it must contain
    and it does; which bytes were used is said on stderr.

    Raises:
        UsageError: The address is neither https nor on this machine.
        NetworkError: The file did not arrive.
        DataError: What arrived is not what the row describes.
        DiskError: The cache cannot be written.
    """
    import pooch
    import requests
    from filelock import FileLock

    address = urlsplit(row.url)
    if address.scheme != "https" and address.hostname not in LOOPBACK:
        raise UsageError("address is not https", where=f"data row {row.name}", why=row.url)
    folder = folder or cache_folder() / "downloads"
    path = folder / f"{row.name}-{Path(address.path).name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock")):
            if path.exists() and _accepted(path, row):
                return path
            part = path.with_name(f".{path.name}.part")
            # pooch would take what a killed process left there for the download.
            part.unlink(missing_ok=True)
            arriving = pooch.retrieve(
                row.url,
                known_hash=None,
                fname=part.name,
                path=folder,
                downloader=pooch.HTTPDownloader(
                    progressbar=sys.stderr.isatty(), timeout=TIMEOUT_SECONDS
                ),
            )
            try:
                if not _accepted(Path(arriving), row):
                    raise DataError(
                        "download is not the file that was published",
                        where=row.url,
                        why=f"{Path(arriving).stat().st_size} bytes, "
                        f"sha256 {digest(Path(arriving))}; expected {row.bytes}, {row.sha256}",
                        fix="try again, or give a copy with --data",
                    )
                Path(arriving).replace(path)
            finally:
                Path(arriving).unlink(missing_ok=True)
    except requests.exceptions.RequestException as error:
        raise NetworkError(
            "download failed",
            where=row.url,
            why=str(error).splitlines()[0],
            fix="try again, or give a copy with --data",
        ) from error
    except OSError as error:
        raise DiskError("cannot keep the download", where=str(folder), why=str(error)) from error
    return path


def _accepted(path: Path, row: DatasetRow) -> bool:
    if path.stat().st_size == row.bytes and digest(path) == row.sha256:
        return True
    if not row.contains:
        return False
    content = path.read_bytes()
    if not all(text.encode() in content for text in row.contains):
        return False
    logger.warning(
        "note: %s has changed since it was published; using its %d bytes with sha256 %s",
        row.url,
        len(content),
        digest(path),
    )
    return True
