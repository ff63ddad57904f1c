"""The weights file: one safetensors file with everything that using the weights needs.

Tensors have the names of torch modules. One metadata key, ``zoo``, holds canonical JSON: what the
network is, what its token ids mean, its metrics, a digest of all of it and of the tensors, and a
probe: an input and the outputs that the network must give for it. Reading the file takes nothing
but a safetensors reader, and runs, imports or downloads nothing that the file names. The layout
is described in ``docs/weights-file.md``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from zoo.errors import WeightsError
from zoo.files import write_atomically
from zoo.formats import FORMAT, check_format, upgrade_header

KEY = "zoo"
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_REQUIRED: Mapping[str, type] = {
    "zoo": str,
    "run": dict,
    "task_state": dict,
    "data": dict,
    "metrics": dict,
    "dtype": str,
    "probe": dict,
    "digest": str,
}
_REQUIRED_OF_RUN: Mapping[str, type] = {
    "name": str,
    "task": dict,
    "model": dict,
    "submodels": dict,
    "training": dict,
    "seed": int,
}
_REQUIRED_OF_FORMAT_1: Mapping[str, type] = {
    "zoo": str,
    "name": str,
    "task": dict,
    "model": dict,
    "assets": dict,
    "data": dict,
    "training": dict,
    "metrics": dict,
    "storage": str,
    "probe": dict,
    "digest": str,
}
_REQUIRED_OF_COMPONENT: Mapping[str, type] = {
    "name": str,
    "options": dict,
    "distribution": str,
    "version": str,
}
_REQUIRED_OF_DATA: Mapping[str, type] = {"name": str, "summary": str, "sha256": str}


@dataclass(frozen=True, slots=True)
class Weights:
    """What a weights file holds.

    Args:
        path: The file.
        header: Its header, in the format of this version.
        tensors: Its tensors; empty where only the header was read.
        shapes: dtype, as safetensors names it, and shape of each tensor.
    """

    path: Path
    header: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    shapes: Mapping[str, tuple[str, tuple[int, ...]]]


def write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write a weights file, adding the digest to its header.

    Raises:
        DiskError: The file cannot be written.
    """
    full = {**header, "digest": digest(header, tensors)}
    write_atomically(path, safetensors.torch.save(dict(tensors), {KEY: _canonical(full)}))


def inspect(path: Path) -> Weights:
    """Read the header of a weights file and nothing else: no tensor is loaded.

    Raises:
        WeightsError: It is not a weights file of zoo, or of a later version.
    """
    header, _, shapes = _open(path, with_tensors=False)
    return Weights(path, _upgraded(header, path), {}, shapes)


def read(path: Path) -> Weights:
    """Read a weights file whole and check its digest.

    Raises:
        WeightsError: It is not a weights file of zoo, or has been changed since it was written.
    """
    header, tensors, shapes = _open(path, with_tensors=True)
    if header["digest"] != digest(header, tensors):
        raise WeightsError(
            "digest does not match",
            where=str(path),
            why="the file has been changed since it was written",
            fix="export it again, or download it again",
        )
    return Weights(path, _upgraded(header, path), tensors, shapes)


def _open(
    path: Path, *, with_tensors: bool
) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, tuple[str, tuple[int, ...]]]]:
    """Return the header as it was written, the tensors, and their dtypes and shapes."""
    tensors: dict[str, Tensor] = {}
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
    if not path.is_file():
        raise WeightsError(
            "no such file", where=str(path), fix="give a file that `zoo export` made"
        )
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                part = file.get_slice(name)
                shapes[name] = (part.get_dtype(), tuple(part.get_shape()))
                if with_tensors:
                    tensors[name] = file.get_tensor(name)
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(
            "not a complete safetensors file", where=str(path), why=str(error).splitlines()[0]
        ) from error
    return _parse_header(path, metadata), tensors, shapes


def _parse_header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the header, checked against the format that it says it has."""
    if KEY not in metadata:
        raise WeightsError(
            "not a weights file of zoo",
            where=str(path),
            why=f"its metadata has no key {KEY!r}",
            fix="give a file that `zoo export` made",
        )
    try:
        header = json.loads(metadata[KEY], object_pairs_hook=_refuse_repeated_keys)
        _canonical(header).encode()  # Fails where an escape stands for half a character.
    except (ValueError, RecursionError) as error:
        raise WeightsError("the header is not JSON", where=str(path), why=str(error)) from error
    if not isinstance(header, dict) or "format" not in header:
        raise WeightsError("the header is incomplete", where=str(path))
    if check_format(header, str(path)) == 1:
        run, dtype = header, header.get("storage")
        _check(header, _REQUIRED_OF_FORMAT_1, "header", path)
        _check(header["training"], {"seed": int}, "header's training", path)
        _check(header["probe"], {"batch": dict, "logits": list}, "header's probe", path)
    else:
        _check(header, _REQUIRED, "header", path)
        run, dtype = header["run"], header["dtype"]
        _check(run, _REQUIRED_OF_RUN, "header's run", path)
    components = {"task": run["task"], "model": run["model"], **run.get("submodels", {})}
    for part, component in components.items():
        _check(component, _REQUIRED_OF_COMPONENT, f"header's {part}", path)
    _check(header["data"], _REQUIRED_OF_DATA, "header's data", path)
    if dtype not in DTYPES:
        raise WeightsError(f"unknown dtype {dtype!r}", where=str(path))
    return header


def _upgraded(header: dict[str, Any], path: Path) -> dict[str, Any]:
    if header["format"] == FORMAT:
        return header
    try:
        return upgrade_header(header)
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            "the header is incomplete", where=str(path), why=f"{error} is missing"
        ) from error


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, but not of a key that occurs twice: readers might take either value."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _check(found: object, required: Mapping[str, type], what: str, path: Path) -> None:
    if not isinstance(found, Mapping):
        raise WeightsError(f"the {what} is malformed", where=str(path))
    for key, kind in required.items():
        if not isinstance(found.get(key), kind):
            why = f"{key} is {'malformed' if key in found else 'missing'}"
            raise WeightsError(f"the {what} is incomplete", where=str(path), why=why)


def _canonical(header: Mapping[str, Any]) -> str:
    return json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of the canonical header without its digest, and of each tensor in turn."""
    total = hashlib.sha256()
    rest = {key: value for key, value in header.items() if key != "digest"}
    total.update(_canonical(rest).encode())
    _add(total, tensors)
    return total.hexdigest()


def weights_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of the tensors alone: of each one in turn, as in :func:`digest`."""
    total = hashlib.sha256()
    _add(total, tensors)
    return total.hexdigest()


def _add(total: Any, tensors: Mapping[str, Tensor]) -> None:
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        shape = "x".join(map(str, tensor.shape))
        total.update(f"\0{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{shape}\0".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
