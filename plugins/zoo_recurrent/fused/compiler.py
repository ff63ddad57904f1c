"""How the functions beside this one are compiled, and where the compiled code is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import config

from zoo.data.download import cache_folder

# One rounding less is allowed in a * b + c; the order of sums stays. Division by 0 is infinity.
_FAST = {"fastmath": {"contract"}, "error_model": "numpy", "nogil": True}

inlined: Callable[..., Any] = njit(inline="always", **_FAST)


def kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called, which takes seconds, and keep the result.

    numba itself looks at one file's date only, and would run old code after another changed; so
    the folder bears a digest of all of them. Where none can be made, nothing is kept. It lies in
    the zoo's cache, or in ``NUMBA_CACHE_DIR``.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    before = config.CACHE_DIR
    folder = Path(before or cache_folder() / "compiled")
    config.CACHE_DIR = str(folder / digest.hexdigest()[:16])
    try:
        return njit(cache=True, **_FAST)(function)
    except (RuntimeError, OSError):
        return njit(**_FAST)(function)
    finally:
        config.CACHE_DIR = before
