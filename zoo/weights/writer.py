"""Networks into weights files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from zoo import __version__
from zoo.errors import WeightsError
from zoo.formats import FORMAT, REQUIRES
from zoo.interfaces import Data, Task
from zoo.spec import SAMPLE, RunSpec
from zoo.weights import probe
from zoo.weights.file import DTYPES, weights_digest, write


def versions() -> dict[str, Any]:
    """Return what every file says of its format."""
    return {"format": FORMAT, "requires": REQUIRES, "zoo": __version__}


def describe(spec: RunSpec, task: Task, data: Data) -> dict[str, Any]:
    """Return the header of a weights file, without metrics, dtype, probe and digest."""
    document = spec.to_json() | {"init": Path(spec.init).name}
    # A path would say where the data is on this machine, and nothing on any other.
    named = spec.data if spec.dataset else (SAMPLE if spec.data in ("", SAMPLE) else "")
    return {
        **versions(),
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
        header: What :func:`describe` returned, and ``metrics``.
        dtype: dtype of floating-point tensors: ``float32``, ``float16`` or ``bfloat16``. Others
            keep theirs.

    Raises:
        WeightsError: A 16-bit dtype changes the probe's outputs by more than it may.
        DiskError: The file cannot be written.
    """
    tensors = {
        # Cloned, because the file format does not allow tensors that share memory.
        name: _stored(tensor.detach().cpu(), dtype).contiguous().clone()
        for name, tensor in network.state_dict().items()
    }
    if dtype != "float32":
        _check_rounding(network, task, tensors, dtype)
    made = probe.make(network, task)
    digest = weights_digest(tensors)
    write(path, tensors, {**header, "weights_sha256": digest, "dtype": dtype, "probe": made})


def _stored(tensor: Tensor, dtype: str) -> Tensor:
    return tensor.to(DTYPES[dtype]) if tensor.is_floating_point() else tensor


def _check_rounding(
    network: nn.Module, task: Task, tensors: Mapping[str, Tensor], dtype: str
) -> None:
    batch = task.probe()
    exact = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    before = probe.outputs(network, task, batch)
    network.load_state_dict(dict(tensors))
    after = probe.outputs(network, task, batch)
    network.load_state_dict(exact)
    difference = float((before - after).abs().max())
    if not difference <= probe.TOLERANCE[dtype]:
        raise WeightsError(
            f"the weights cannot be stored as {dtype}",
            why=f"the probe's outputs change by {difference:.2g}",
            fix="store float32",
        )
