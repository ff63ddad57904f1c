"""Recurrent layers on the CPU in float32: whole sequences in one call of compiled code.

One function, :func:`run_layer`. The code is compiled by numba when it is first called, which takes
some seconds, and is cached on disk. See ``docs/kernels.md``.
"""

from zoo_recurrent.kernels.layer import run_layer

__all__ = ["run_layer"]
