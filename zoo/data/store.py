"""Encoded data, kept on disk under the digest of what it was made from, and memory-mapped."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.data.download import cache_folder
from zoo.errors import DiskError

Array = npt.NDArray[Any]


def cached(recipe: dict[str, Any], build: Callable[[Path], None]) -> Path:
    """Return the folder of an entry, built once.

    Args:
        recipe: JSON values that decide the content: a digest of the source, a format version, the
            options of the encoding. Another recipe is another entry.
        build: Fills an empty folder; it is renamed into place when it is complete.

    Raises:
        DiskError: The cache cannot be written.
    """
    from filelock import FileLock

    canonical = json.dumps(recipe, sort_keys=True).encode()
    folder = cache_folder() / "encoded"
    entry = folder / hashlib.sha256(canonical).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(entry.with_suffix(".lock")):
            if entry.exists():
                return entry
            building = folder / f".building-{entry.name}"
            # What a process that was killed left behind.
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            try:
                build(building)
                building.replace(entry)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise DiskError(
            "cannot keep encoded data",
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
    """Write an array (length,) into an entry, a part at a time and never the whole in memory."""
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
