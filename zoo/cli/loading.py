"""Trained weights for commands that answer: by NumPy where it can, because torch takes a while."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.runtime import InferenceModel


def load_model(file: str, device: str, threads: int) -> InferenceModel:
    """Load trained weights, and set this process up for what computes them.

    Args:
        file: As for :func:`zoo.load`.
        device: ``auto``, ``cpu`` ...
        threads: Threads of one computation; 0: one for each processor.
    """
    if threads:
        # Of NumPy's matrix products; read when it is imported.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))

    from zoo.api import load
    from zoo.environment import set_up_process, torch_is_imported

    model = load(file, device, runtime="auto")
    set_up_process(threads, torch_computes=torch_is_imported())
    return model
