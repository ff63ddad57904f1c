"""Encoded data, cached on disk under a digest of what it was made from, and memory-mapped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.data.locks import locked
from zoo.errors import ZooWarning
from zoo.files import cache_folder, caching, sync_folder

Array = npt.NDArray[Any]

# Written last: the key of an entry, and length and CRC-32 of each of its files.
_MANIFEST = "manifest.json"
_BUILDING = ".building-"
_BLOCK = 1 << 20


def cached(key: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
    """Return the folder of a cache entry, building it if it is missing or damaged.

    One process builds an entry at a time; the others wait for it. The files of an entry are synced
    before it gets its name. A process checks them against their checksums when it first uses them,
    which reads them once.

    Args:
        key: JSON values that decide the content: a digest of the source, a format version, the
            options of the encoding. Another key is another entry.
        build: Fills an empty folder, which is renamed into place when it is complete.

    Raises:
        DiskError: The cache cannot be written.
    """
    canonical = json.dumps(key, sort_keys=True).encode()
    folder = cache_folder() / "encoded"
    entry = folder / hashlib.sha256(canonical).hexdigest()[:32]
    with caching("cannot cache encoded data", folder):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(_lock(entry), "encodes the same data"):
            if entry.exists():
                if _is_intact(entry, _stamps(entry)):
                    return entry
                if (entry / _MANIFEST).exists():
                    warnings.warn(
                        f"cached data in {entry} is damaged and is built again",
                        ZooWarning,
                        stacklevel=2,
                    )
                shutil.rmtree(entry)
            building = folder / f"{_BUILDING}{entry.name}"
            # A process that was killed may have left a part of it.
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            try:
                build(building)
                _seal(building, key)
                building.replace(entry)
                sync_folder(folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)
        _remove_leftovers(folder, key)
    return entry


def save(folder: Path, name: str, values: Array) -> None:
    """Write an array into an entry.

    Args:
        folder: The folder that is filled.
        name: The name of the array.
        values: The array.
    """
    np.save(folder / f"{name}.npy", values, allow_pickle=False)


def save_parts(
    folder: Path, name: str, parts: Iterable[Array], dtype: npt.DTypeLike, length: int
) -> None:
    """Write an array (length,) into an entry, part by part, without holding it in memory.

    Args:
        folder: The folder that is filled.
        name: The name of the array.
        parts: Its parts, in order.
        dtype: Its dtype.
        length: How many elements the parts have together.
    """
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": (length,),
    }
    with (folder / f"{name}.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(part.astype(dtype, copy=False).tobytes())


def load(folder: Path, name: str) -> Array:
    """Map an array of an entry into memory, read-only.

    Args:
        folder: The entry, as :func:`cached` returns it.
        name: The name of the array.
    """
    array: Array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return array


def _lock(entry: Path) -> Path:
    return entry.with_name(f"{entry.name}.lock")


def _seal(folder: Path, key: Mapping[str, Any]) -> None:
    """Sync the files of a new entry, and write down what they must be."""
    files = {path.name: [path.stat().st_size, _checksum(path)] for path in folder.iterdir()}
    manifest = {"key": key, "files": files}
    (folder / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    sync_folder(folder)


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _manifest(entry: Path) -> dict[str, Any]:
    """Return what an entry says of itself; nothing where it says nothing, as until version 0.3."""
    try:
        document = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _stamps(entry: Path) -> tuple[tuple[object, ...], ...]:
    """Return what changes when a file of an entry is written to."""
    stats = ((path.name, path.stat()) for path in sorted(entry.iterdir()))
    return tuple((name, s.st_size, s.st_mtime_ns, s.st_ino) for name, s in stats)


@lru_cache(maxsize=64)
def _is_intact(entry: Path, stamps: tuple[tuple[object, ...], ...]) -> bool:
    """Return whether the files of an entry are those that were written.

    Their stamps are arguments so that a process reads them once, unless they change.
    """
    files = _manifest(entry).get("files")
    if not isinstance(files, dict) or {*files, _MANIFEST} != {stamp[0] for stamp in stamps}:
        return False
    paths = {name: entry / name for name in files}
    return all(
        files[name] == [path.stat().st_size, _checksum(path)] for name, path in paths.items()
    )


def _remove_leftovers(folder: Path, key: Mapping[str, Any]) -> None:
    """Remove what killed processes left, and entries of earlier versions of the same encoding."""
    from filelock import FileLock, Timeout

    for path in folder.iterdir():
        name = path.name.removeprefix(_BUILDING)
        if not path.is_dir() or (name == path.name and not _is_outdated(_manifest(path), key)):
            continue
        try:
            # It may be that of a process that runs.
            with FileLock(_lock(folder / name), timeout=0):
                shutil.rmtree(path, ignore_errors=True)
        except Timeout:
            continue


def _is_outdated(manifest: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
    """Return whether an entry has no manifest, or is one of ``key`` but for a lower version."""
    other = manifest.get("key")
    if not isinstance(other, dict):
        return True
    earlier, version = other.get("version"), key.get("version")
    same_task = isinstance(key.get("task"), str) and other.get("task") == key["task"]
    return same_task and isinstance(earlier, int) and isinstance(version, int) and earlier < version
