"""Which backend computes recurrent layers: what ZOO_BACKEND says and what is installed.

torch is not imported here, and numba by one function.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import warnings
from functools import cache

from zoo.errors import UsageError, ZooWarning, did_you_mean

VARIABLE = "ZOO_BACKEND"
BACKENDS = ("auto", "numba", "torch")

# So many steps without gradient are computed without compiled code: importing numba takes a fifth
# of a second. The rule stays the same once compiled code is loaded, so that what a network answers
# does not depend on what it was asked before.
FEW_STEPS = 4096


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


@cache
def numba_works(*, demanded: bool) -> bool:
    """Return whether numba can be imported.

    Raises:
        UsageError: It is demanded and cannot be imported.
    """
    try:
        import numba  # noqa: F401
    except (ImportError, OSError) as error:
        if demanded:
            raise missing_numba(str(error)) from error
        if importlib.util.find_spec("numba") is not None:
            warnings.warn(
                f"numba is installed but does not import ({error}): recurrent layers are computed "
                f"by torch, which is slower; {VARIABLE}=torch silences this",
                ZooWarning,
                stacklevel=2,
            )
        return False
    return True


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
