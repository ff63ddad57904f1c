"""How the functions beside this one are compiled, and where the compiled code is kept."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
from numba import njit
from numba.core import config

# One rounding less is allowed in a * b + c; the order of sums stays. Division by 0 is infinity.
_FAST = {"fastmath": {"contract"}, "error_model": "numpy", "nogil": True}

compiled: Callable[..., Any] = njit(**_FAST)


def kept(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a function when it is first called, which takes seconds, and keep the result.

    It is kept in ``NUMBA_CACHE_DIR``, or in the user's cache: not in the zoo's, which may be
    shared, because what lies there is run. Where nothing can be written, nothing is kept.
    """
    before = config.CACHE_DIR
    folder = Path(before or Path(platformdirs.user_cache_dir("zoo")) / "compiled") / _digest()
    config.CACHE_DIR = str(folder)
    try:
        ready = njit(cache=True, **_FAST)(function)
    except (RuntimeError, OSError):
        ready = compiled(function)
    finally:
        config.CACHE_DIR = before

    def call(*arguments: Any) -> None:
        nonlocal ready
        try:
            ready(*arguments)
        except Exception:
            if ready.signatures:
                raise
            # Not even loaded: what was kept is damaged, in one of many ways.
            shutil.rmtree(folder, ignore_errors=True)
            ready = compiled(function)
            ready(*arguments)

    return call


def _digest() -> str:
    """numba looks at the date of one file only, and would run old code after another changed."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
