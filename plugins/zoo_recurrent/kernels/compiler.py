"""How the functions beside this one are compiled, and where the compiled code is cached."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core import config

from zoo import files
from zoo.errors import DiskError, ZooWarning
from zoo_recurrent.kernels.private import make_private

# a * b + c may be rounded once; the order of sums stays. Division by 0 gives infinity.
_njit: Callable[..., Any] = partial(njit, fastmath={"contract"}, error_model="numpy", nogil=True)

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Compile a function that compiled code calls."""
    compiled: Function = _njit(function)
    return compiled


def inlined_jit(function: Function) -> Function:
    """Compile a part of one function that compiled code calls in a loop, without a call."""
    compiled: Function = _njit(function, forceinline=True)
    return compiled


def cached_jit(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a function when it is first called, which takes seconds, and cache the result.

    It is cached in ``NUMBA_CACHE_DIR``, or in the user's cache folder: not in zoo's, which may be
    shared between users, because what lies there is run. Where nothing can be written, or others
    can write, nothing is cached.
    """
    before, folder = config.CACHE_DIR, _cache_folder()  # type: ignore[attr-defined]
    if folder is None:
        uncached: Callable[..., None] = _njit(function)
        return uncached
    config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    try:
        compiled = _njit(function, cache=True)
    except (RuntimeError, OSError):
        compiled = _njit(function)
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]

    def call(*arguments: Any) -> None:
        nonlocal compiled
        num_known = len(compiled.overloads)
        if not num_known and not any(folder.rglob(f"*.{function.__qualname__}-*.nbi")):
            _log_compilation()
        try:
            compiled(*arguments)
        except Exception:  # noqa: BLE001 - unpickling damaged files raises anything
            # The cache could not be read or, if the code is there by now, not be written. Any
            # other failure occurs again.
            if len(compiled.overloads) == num_known:
                compiled = _njit(function)
            compiled(*arguments)
        if len(compiled.overloads) > num_known:
            _write_checksums(folder)

    return call


@cache
def _log_compilation() -> None:
    """Tell once a process why the first step takes so long."""
    logging.getLogger("zoo.compile").info(
        "compiling the recurrent layers, once on this machine: some seconds"
    )


@cache
def _cache_folder() -> Path | None:
    """Return the folder for code of this source, or None where there is none to be trusted.

    numba looks at the date of one source file only, and would run old code after another one has
    changed; and it would run whatever its files hold. So the folder is named after a digest of all
    sources, and is private to this user; checksums lie beside the files, and files damaged by a
    crash are removed.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    named = config.CACHE_DIR  # type: ignore[attr-defined]  # NUMBA_CACHE_DIR, or empty
    root = Path(named) if named else files.user_cache_folder() / "compiled"
    if root.parts[0] == "~":
        return None  # Named by a user without a home folder.
    try:
        folder = root.resolve() / digest.hexdigest()[:16]
        if problem := make_private(folder):
            message = f"compiled code is not cached, and compiled anew in each process: {problem}"
            warnings.warn(f"{message}; set NUMBA_CACHE_DIR", ZooWarning, stacklevel=3)
            return None
        if not _is_intact(folder):
            shutil.rmtree(folder)
            folder.mkdir(mode=0o700)
    except OSError:
        return None
    return folder


def _is_intact(folder: Path) -> bool:
    try:
        known = json.loads((folder / "checksums.json").read_bytes())
        return bool(known == _checksums(folder))
    except (OSError, ValueError, RecursionError):
        return False


def _checksums(folder: Path) -> dict[str, str]:
    found = sorted(folder.rglob("*.nb[ic]"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def _write_checksums(folder: Path) -> None:
    try:
        text = json.dumps(_checksums(folder)).encode()
        if folder.is_dir():
            files.write_atomically(folder / "checksums.json", text)
    except (OSError, DiskError):
        shutil.rmtree(folder, ignore_errors=True)
