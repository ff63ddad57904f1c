"""A shard: a file here or behind a URL, looked at and opened. What is wrong names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from urllib.parse import urlsplit

from zoo.errors import DataError, NetworkError, UsageError

# What tells that a remote file is another one, best first.
_STAMPS = ("ETag", "etag", "Content-MD5", "Digest", "Last-Modified", "LastModified", "mtime",
           "created")  # fmt: skip
# Bytes that are fetched at once: little of the columns of a Parquet file that are not read.
_READ_AHEAD = 1 << 20
# What a server of HTTP answers where there is no such file.
_MISSING = (404, 410)
# Packages below fsspec, whose exceptions share no base class.
_REMOTE = frozenset({"aiohttp", "botocore", "aiobotocore", "s3fs", "fsspec"})


@dataclass(frozen=True, slots=True)
class Shard:
    """A file of a set.

    Args:
        url: Absolute path, or URL.
        size: Bytes.
        stamp: Changes with the file: time and inode, or the ETag of a remote file.
    """

    url: str
    size: int
    stamp: str

    @property
    def name(self) -> str:
        """The last part of path or URL, as messages and results name it."""
        return PurePosixPath(urlsplit(self.url).path if "://" in self.url else self.url).name


def look(url: str) -> Shard:
    """Return a file as it is now.

    Args:
        url: A path or a URL.

    Raises:
        DataError: It is missing, or its length is not known.
        NetworkError: A server does not answer, or with an error.
        UsageError: A URL is given, and fsspec or what it needs is not installed.
    """
    return _stat(url) if "://" in url else _local(Path(url))


@contextmanager
def opened(shard: Shard) -> Iterator[IO[bytes]]:
    """Open a shard for reading at any place; it must be the file that was listed, to the end.

    Args:
        shard: The file.

    Raises:
        DataError: It is missing, may not be read or has changed since it was listed.
        NetworkError: A server does not answer, or with an error.
    """
    with naming(shard.url):
        _check_unchanged(shard)
        if "://" in shard.url:
            system, path = filesystem(shard.url)
            with system.open(path, "rb", block_size=_READ_AHEAD) as file:
                yield cast("IO[bytes]", file)
        else:
            with Path(shard.url).open("rb") as file:
                yield file
        _check_unchanged(shard)


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Turn what files and servers raise into one line that names the shard.

    Args:
        where: The shard.
    """
    try:
        yield
    except Exception as error:
        # fsspec takes a server that does not answer for a file that is missing.
        cause = error.__cause__ if _is_remote(error.__cause__) else error
        if isinstance(cause, FileNotFoundError) or getattr(cause, "status", 0) in _MISSING:
            raise DataError(
                "a shard is missing", where=where, fix="fetch or write it again"
            ) from error
        is_remote = "://" in where and not where.startswith(("file:", "local:", "memory:"))
        # A ValueError is what fsspec raises where a server does not support ranges.
        expected = (OSError, ValueError) if is_remote else (OSError,)
        if not (isinstance(cause, expected) or _is_remote(cause)):
            raise
        why = " ".join(f"{type(cause).__name__} {cause}".split())
        if not is_remote:
            raise DataError("cannot read the shard", where=where, why=why) from error
        raise NetworkError(
            "cannot read the shard", where=where, why=why[:150], fix="try again later"
        ) from error


def _is_remote(error: BaseException | None) -> bool:
    """Return whether an exception is that of a package below fsspec, such as aiohttp."""
    return type(error).__module__.split(".")[0] in _REMOTE


def _local(path: Path) -> Shard:
    with naming(str(path)):
        found = path.stat()
    stamp = f"{found.st_mtime_ns} {found.st_ino} {found.st_dev}"
    return Shard(str(path.resolve()), found.st_size, stamp)


def _stat(url: str) -> Shard:
    with naming(url):
        system, path = filesystem(url)
        system.invalidate_cache(path)
        found = system.info(path)
    size = found.get("size")
    if size is None:
        raise DataError("the server does not say how long the shard is", where=url)
    stamp = next((str(found[name]) for name in _STAMPS if found.get(name)), "")
    return Shard(url, int(size), stamp)


def _check_unchanged(shard: Shard) -> None:
    now = look(shard.url)
    if (now.size, now.stamp) != (shard.size, shard.stamp):
        raise DataError(
            "the shard has changed since it was listed",
            where=shard.url,
            why=f"{shard.size:,} bytes before, {now.size:,} now",
            fix="train when it is whole",
        )


def filesystem(url: str) -> tuple[Any, str]:
    """Return fsspec's file system of a URL, and the path in it.

    Args:
        url: A URL.

    Raises:
        UsageError: fsspec does not know it, or a package is missing.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise UsageError(
            f"reading {url.split('://')[0]}:// needs fsspec",
            why=str(error),
            fix="pip install 'seqzoo[remote]'",
        ) from error
    try:
        return cast("tuple[Any, str]", url_to_fs(url))
    except ImportError as error:
        raise UsageError(
            f"reading {url.split('://')[0]}:// needs another package",
            why=str(error),
            fix="pip install 'seqzoo[remote]', or what it names",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"cannot read {url.split('://')[0]}://",
            why=str(error),
            fix="give a path, or a URL that fsspec knows, such as https:// or s3://",
        ) from error
