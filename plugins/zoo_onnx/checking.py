"""Whether a graph computes what its network does: ONNX Runtime beside torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from zoo.errors import WeightsError
from zoo.interfaces import Batch, Data
from zoo_onnx.translation import Translation

LARGEST, MEAN = 1e-3, 1e-5
"""How far outputs may differ, relative to those larger than 1: the largest and the mean difference.

Rounding to float32 alone stays far below on average. A network that amplifies differences from step
to step can reach 1e-4 on some row; a graph that computes something else differs by more than both.
"""


def check(content: bytes, translation: Translation, probe: Batch, data: Data | None) -> str:
    """Compare a graph with its network on the probe and on a thousand examples.

    Args:
        content: The ONNX file.
        translation: What it was made from.
        probe: The probe of the task.
        data: That of the training, if it is at hand.

    Returns:
        A line on the result.

    Raises:
        WeightsError: The file is not valid, does not run, or its outputs differ.
    """
    try:
        onnx.checker.check_model(content, full_check=True)
        session = open_session(content)
    # ONNX Runtime raises classes of its own, one for each kind of error, without a common one.
    except Exception as error:
        raise WeightsError("the ONNX file does not load", why=_first_line(error)) from error
    what, examples = translation.examples(data)
    with torch.inference_mode():
        worst = difference(session, translation, probe, "the probe")
        for batch in examples:
            worst = max(worst, difference(session, translation, batch, what))
    version = onnxruntime.__version__
    return f"checked: ONNX Runtime {version} and torch differ by {worst:.1e} at most, on {what}"


def open_session(content: bytes) -> Any:
    """Return a session of ONNX Runtime, on the CPU with as many threads as torch has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # What matters is raised.
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def difference(session: Any, translation: Translation, batch: Batch, what: str) -> float:
    """Return the largest difference between graph and network on a batch.

    Raises:
        WeightsError: It is larger than :data:`LARGEST` or :data:`MEAN`, or the graph does not run.
    """
    worst = 0.0
    for inputs, expected in translation.runs(batch):
        try:
            outputs = session.run(list(expected), inputs)
        except Exception as error:
            why = f"on {what}: {_first_line(error)}"
            raise WeightsError("the ONNX file does not run", why=why) from error
        for (name, wanted), found in zip(expected.items(), outputs, strict=True):
            largest, mean = _apart(found, wanted)
            if not (largest <= LARGEST and mean <= MEAN):
                raise WeightsError(
                    "the ONNX file does not compute what the network does",
                    why=f"{name} differs by {largest:.2g} at most and {mean:.2g} on average, "
                    f"on {what}",
                    fix="nothing was written",
                )
            worst = max(worst, largest)
    return worst


def _apart(found: Any, wanted: Any) -> tuple[float, float]:
    """Return the largest and the mean difference; where NaN is wanted, anything will do."""
    if found.shape != wanted.shape:
        return float("inf"), float("inf")
    open_ = np.isnan(wanted)
    apart = np.abs(found - wanted) / np.maximum(np.abs(wanted), 1)
    # NaN that is not wanted is larger than any tolerance.
    apart = np.nan_to_num(apart[~open_], nan=np.inf)
    return (float(apart.max()), float(apart.mean())) if apart.size else (0.0, 0.0)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
