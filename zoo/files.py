"""Atomic writes, JSON files and digests."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from zoo.errors import DataError, DiskError, UsageError, WeightsError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one.

    A symbolic link stays one: what it leads to is replaced. So does the mode of a file that is
    replaced.

    Args:
        path: The file.
        content: All that it is to hold.

    Raises:
        DiskError: The file could not be written, or what is there is no file.
    """
    with open_atomically(path) as file:
        file.write(content)


@contextlib.contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name when the block ends, as of :func:`write_atomically`.

    Where the block raises, nothing is left of it.

    Args:
        path: The file.

    Yields:
        The binary file to write.

    Raises:
        DiskError: The file could not be written, or what is there is no file.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        mode = _mode(path)
        # That of a new file follows the user's umask.
        first = 0o666 if mode is None else 0o600
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, first)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if mode is not None and hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), mode)
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise DiskError("cannot write", where=str(path), why=str(error)) from error


def _mode(path: Path) -> int | None:
    """Return the mode of the file that is replaced; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise DiskError("cannot write", where=str(path), why="it is not a regular file")
    return found.st_mode & 0o777


@contextlib.contextmanager
def caching(what: str, folder: Path) -> Iterator[None]:
    """Have a failure to write into the cache say how to choose another folder.

    Args:
        what: What cannot be cached then, in a few words.
        folder: Where it is written.

    Raises:
        DiskError: The cache cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise DiskError(
            what,
            where=str(folder),
            why=str(error),
            fix="set ZOO_CACHE to a folder that can be written",
        ) from error


def refuse_existing(path: Path) -> None:
    """Refuse to replace a file that the user has not asked to be overwritten.

    Args:
        path: Where something is to be written.

    Raises:
        UsageError: There is a file.
    """
    if path.exists():
        raise UsageError(
            "file exists",
            where=str(path),
            fix="choose another name, or overwrite it: --force, overwrite=True",
        )


def remove_temporaries(path: Path) -> None:
    """Remove what writes of a file that crashed have left beside it.

    Nobody else may be writing the file: the caller holds its lock.

    Args:
        path: The file that was to be written.
    """
    pattern = re.compile(re.escape(f".{path.name}.") + "[0-9a-f]{8}")
    with contextlib.suppress(OSError):
        for entry in [entry for entry in path.parent.iterdir() if pattern.fullmatch(entry.name)]:
            entry.unlink()


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut, where the system can (not on Windows).

    Args:
        folder: The folder.
    """
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def cache_folder() -> Path:
    """Return where zoo caches downloads and encoded data: ``ZOO_CACHE``, or the user's cache."""
    named = os.environ.get("ZOO_CACHE")
    return Path(named) if named else user_cache_folder()


def user_cache_folder() -> Path:
    """Return the user's own cache; of a user without a home, one that cannot be written to."""
    import platformdirs

    try:
        folder = Path(platformdirs.user_cache_dir("zoo"))
    except RuntimeError:
        folder = Path("~")
    return folder if folder.is_absolute() else Path(os.devnull) / "zoo"


def digest(path: Path) -> str:
    """Return the sha256 of a file; of a folder, that of its files' names and digests.

    Args:
        path: A file or a folder.

    Raises:
        DataError: There is nothing at ``path``, or it cannot be read.
    """
    try:
        if path.is_dir():
            total = hashlib.sha256()
            for file in sorted(p for p in path.rglob("*") if p.is_file()):
                # A name may be no UTF-8.
                name = os.fsencode(file.relative_to(path).as_posix())
                total.update(name + f"\0{digest(file)}\n".encode())
            return total.hexdigest()
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "it is a device, a pipe or a socket, not a file")
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError | ValueError) -> DataError:
    """Return the error for data that is missing or cannot be read.

    Args:
        path: The file or folder.
        error: What reading it raised.
    """
    return DataError(
        "cannot read the data",
        where=str(path),
        why=(isinstance(error, OSError) and error.strerror) or str(error),
        fix="check the path",
    )


def digest_text(text: str) -> str:
    """Return the sha256 of a text's UTF-8 bytes.

    Args:
        text: The text.
    """
    return hashlib.sha256(text.encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.

    Raises:
        WeightsError: It is not one.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError("cannot read", where=str(path), why=str(error)) from error
    if not isinstance(document, dict):
        raise WeightsError("not a JSON object", where=str(path))
    return document


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON object atomically, indented.

    Args:
        path: The file.
        document: JSON values by name.
    """
    write_atomically(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())


def is_pattern(name: str) -> bool:
    """Return whether a name is a URL or a pattern of file names, and no path that exists.

    Args:
        name: What a user gives as data.
    """
    return "://" in name or (has_wildcards(name) and not Path(name).exists())


def has_wildcards(name: str) -> bool:
    """Return whether a name has characters that stand for others in a pattern of file names.

    Args:
        name: A path, or a pattern.
    """
    return any(wildcard in name for wildcard in "*?[")


def absolute(path: str | Path) -> str:
    """Return an existing path so that it is found from any folder; other names as they are.

    Args:
        path: A path, a pattern of file names, or another name.
    """
    name = str(path)
    if "://" not in name and is_pattern(name):
        return str(Path(name).absolute())
    return str(Path(name).resolve()) if name and Path(name).exists() else name
