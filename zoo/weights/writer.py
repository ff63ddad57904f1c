"""Networks into weights files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo import __version__, environment
from zoo.errors import WeightsError
from zoo.formats import FORMAT, QUANTIZED_FORMAT, QUANTIZED_REQUIRES, REQUIRES
from zoo.interfaces import Data, ProbesTexts, Task
from zoo.spec import SAMPLE, RunSpec
from zoo.weights import metrics, probe
from zoo.weights.comparison import TOLERANCE
from zoo.weights.components import without_folders
from zoo.weights.file import weights_digest, write
from zoo.weights.quantization import QUANTIZED
from zoo.weights.tensors import check_finite, dequantized, restored, stored

# How far the probe's outputs may change by rounding weights to a dtype. With 8 bits they change by
# 0.1 where loss and accuracy stay the same; `zoo export` measures those.
ROUNDING = {**TOLERANCE, QUANTIZED: 0.5}


def versions() -> dict[str, Any]:
    """Return what every file says of its format."""
    return {"format": FORMAT, "requires": REQUIRES, "zoo": __version__}


def describe(spec: RunSpec, task: Task, data: Data) -> dict[str, Any]:
    """Return the header of a weights file, without metrics, dtype, probe and digests."""
    # A path would say where a file is on this machine, and nothing on any other.
    document = without_folders(spec.to_json(), spec.network) | {"init": Path(spec.init).name}
    named = spec.data if spec.dataset else (SAMPLE if spec.data in ("", SAMPLE) else "")
    return {
        **versions(),
        "environment": environment.versions(),
        "run": {**document, "data": named},
        "task_state": task.state_dict(),
        "data": {"name": named, "summary": data.summary, "sha256": data.digest},
    }


def save(
    path: Path, network: nn.Module, task: Task, header: Mapping[str, Any], dtype: str = "float32"
) -> None:
    """Write the weights file of a network.

    Args:
        path: Where to.
        network: The network; put into evaluation mode for the probe, and back.
        task: Gives the probe.
        header: What :func:`describe` returned, and ``metrics``. Those without a digest of weights
            were measured on the network; ``dtype`` says in which dtype the others were.
        dtype: dtype of floating-point tensors: ``float32``, ``float16``, ``bfloat16`` or
            ``int8``; see :func:`zoo.weights.tensors.stored`.

    Raises:
        WeightsError: A weight or an output is not a finite number, or another dtype changes
            the probe's outputs by more than it may.
        DiskError: The file cannot be written.
    """
    check_finite(network, network.state_dict(), str(path))
    tensors = stored(network, dtype)
    digest = weights_digest(tensors)
    made = probe.make(network, task, header)
    version = {"format": FORMAT, "requires": REQUIRES}
    if dtype == QUANTIZED:
        version = {"format": QUANTIZED_FORMAT, "requires": QUANTIZED_REQUIRES}
        with _holding(network, dequantized(tensors)):
            exact, made = made, probe.make(network, task, header)
        _check_rounding(exact, torch.tensor(made["outputs"]), dtype)
    elif dtype != "float32":
        with _holding(network, tensors):
            _check_rounding(made, probe.outputs(network, task, task.probe()), dtype)
            if isinstance(task, ProbesTexts):  # A close decision may change by rounding.
                made["answers"] = probe.answers(network, task, made["texts"])
    measured = metrics.stamped(
        header["metrics"], digest, header["data"]["sha256"], header.get("dtype", "float32")
    )
    full = {
        **header, **version, "metrics": measured, metrics.WEIGHTS: digest, "dtype": dtype,
        "probe": made,
    }  # fmt: skip
    if dtype != QUANTIZED:
        full.pop("quantization", None)
    write(path, tensors, full)


@contextmanager
def _holding(network: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Have a network hold other tensors for a while."""
    exact = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict({n: restored(t, exact[n].dtype) for n, t in tensors.items()})
    try:
        yield
    finally:
        network.load_state_dict(exact)


def _check_rounding(made: Mapping[str, Any], after: Tensor, dtype: str) -> None:
    difference = float((torch.tensor(made["outputs"]) - after).abs().max())
    if not difference <= ROUNDING[dtype]:
        raise WeightsError(
            f"the weights cannot be stored as {dtype}",
            why=f"the probe's outputs change by {difference:.2g}",
            fix="store float32",
        )
