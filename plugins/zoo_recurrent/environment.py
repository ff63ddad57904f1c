"""Which backend computes recurrent layers: what ZOO_BACKEND says and what is installed.

Neither torch nor numba is imported here.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os

from zoo.errors import UsageError, did_you_mean

VARIABLE = "ZOO_BACKEND"
BACKENDS = ("auto", "numba", "torch")


def requested_backend() -> str:
    """Return the value of ``ZOO_BACKEND``, by default ``auto``.

    Raises:
        UsageError: There is no such backend.
    """
    name = os.environ.get(VARIABLE) or "auto"
    if name in BACKENDS:
        return name
    raise UsageError(
        f"no backend {name!r}{did_you_mean(name, BACKENDS)}",
        where=VARIABLE,
        fix=f"choose one of {', '.join(BACKENDS)}",
    )


def missing_numba(why: str) -> UsageError:
    """Return the error for numba that is demanded and cannot be used."""
    return UsageError(
        "the backend 'numba' cannot be used",
        where=VARIABLE,
        why=why,
        fix=f"install numba, or set {VARIABLE}=torch",
    )


def describe_backend() -> str:
    """Return the backend in words, for ``zoo env``.

    Raises:
        UsageError: ``ZOO_BACKEND`` names no backend, or one that is not installed.
    """
    requested = requested_backend()
    installed = importlib.util.find_spec("numba") is not None
    if requested == "torch":
        return f"torch (set by {VARIABLE})"
    if installed:
        return f"numba {importlib.metadata.version('numba')} (compiled layers)"
    if requested == "numba":
        raise missing_numba("numba is not installed")
    return "torch (numba is not installed)"
