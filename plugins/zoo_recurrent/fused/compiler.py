"""How the functions beside this one are compiled, and where the compiled code is kept."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs
from numba import njit
from numba.core import config

from zoo import files
from zoo.errors import DiskError

# One rounding less is allowed in a * b + c; the order of sums stays. Division by 0 is infinity.
_FAST = {"fastmath": {"contract"}, "error_model": "numpy", "nogil": True}

compiled: Callable[..., Any] = njit(**_FAST)


def kept(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a function when it is first called, which takes seconds, and keep the result.

    It is kept in ``NUMBA_CACHE_DIR``, or in the user's cache: not in the zoo's, which may be
    shared, because what lies there is run. Where nothing can be written, nothing is kept.
    """
    before, folder = config.CACHE_DIR, _folder()
    config.CACHE_DIR = str(folder)
    try:
        ready = njit(cache=True, **_FAST)(function)
    except (RuntimeError, OSError):
        ready = compiled(function)
    finally:
        config.CACHE_DIR = before

    def call(*arguments: Any) -> None:
        nonlocal ready
        known = len(ready.signatures)
        try:
            ready(*arguments)
        except OSError:
            # Code could not be read or, if it is there by now, not be kept.
            if len(ready.signatures) == known:
                ready = compiled(function)
            ready(*arguments)
        if len(ready.signatures) > known:
            _record(folder)

    return call


@cache
def _folder() -> Path:
    """Return where this source's code is kept; what a crash of the machine left there is removed.

    numba looks at the date of one file only, and would run old code after another changed; and it
    would run whatever its files hold.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    root = Path(config.CACHE_DIR or Path(platformdirs.user_cache_dir("zoo")) / "compiled")
    folder = root / digest.hexdigest()[:16]
    try:
        whole = json.loads((folder / "sums.json").read_bytes()) == _sums(folder)
    except (OSError, ValueError):
        whole = False
    if not whole:
        shutil.rmtree(folder, ignore_errors=True)
    return folder


def _sums(folder: Path) -> dict[str, str]:
    found = sorted(folder.rglob("*.nb[ic]"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def _record(folder: Path) -> None:
    try:
        text = json.dumps(_sums(folder)).encode()
        if folder.is_dir():
            files.write_atomically(folder / "sums.json", text)
    except (OSError, DiskError):
        shutil.rmtree(folder, ignore_errors=True)
