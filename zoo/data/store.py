"""Encoded data, cached on disk under a digest of what it was made from, and memory-mapped."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import DiskError
from zoo.files import cache_folder

Array = npt.NDArray[Any]


def cached(key: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
    """Return the folder of a cache entry, building it if it is missing.

    One process builds an entry at a time; the others wait for it.

    Args:
        key: JSON values that decide the content: a digest of the source, a format version, the
            options of the encoding. Another key is another entry.
        build: Fills an empty folder, which is renamed into place when it is complete.

    Raises:
        DiskError: The cache cannot be written.
    """
    from filelock import FileLock

    canonical = json.dumps(key, sort_keys=True).encode()
    folder = cache_folder() / "encoded"
    entry = folder / hashlib.sha256(canonical).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(entry.with_suffix(".lock")):
            if entry.exists():
                return entry
            building = folder / f".building-{entry.name}"
            # A process that was killed may have left a part of it.
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            try:
                build(building)
                building.replace(entry)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise DiskError(
            "cannot cache encoded data",
            where=str(folder),
            why=str(error),
            fix="set ZOO_CACHE to a folder that can be written",
        ) from error
    return entry


def save(folder: Path, name: str, values: Array) -> None:
    """Write an array into an entry."""
    np.save(folder / f"{name}.npy", values, allow_pickle=False)


def save_parts(
    folder: Path, name: str, parts: Iterable[Array], dtype: npt.DTypeLike, length: int
) -> None:
    """Write an array (length,) into an entry, part by part, without holding it in memory."""
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
    """Map an array of an entry into memory, read-only."""
    array: Array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return array
