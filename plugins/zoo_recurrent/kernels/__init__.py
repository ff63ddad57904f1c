"""Recurrent layers on the CPU in float32: whole sequences in one call of compiled code.

One function, :func:`run_layer`, which trains in mixed precision, too. The code is compiled by numba
when it is first called, which takes some seconds, and is cached on disk. See ``docs/kernels.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo_recurrent.kernels.layer import run_layer

__all__ = ["run_layer"]


def __getattr__(name: str) -> Any:
    """Import the function when it is first used: without torch, other modules here are used."""
    if name != "run_layer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from zoo_recurrent.kernels.layer import run_layer

    return run_layer
