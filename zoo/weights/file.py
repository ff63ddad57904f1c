"""The weights file: one safetensors file that describes and proves itself.

Tensors lie under plain torch names. One metadata key, ``zoo``, holds canonical JSON: what the
network is, what its symbols mean, how well it did, a digest of all of it and of the tensors, and a
probe: an input and the logits that it must give. Reading it takes nothing but a safetensors
reader, and runs, imports or fetches nothing that the file names. The layout is described in
``docs/weights-file.md``.
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

FORMAT = 1
KEY = "zoo"
STORAGE = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_REQUIRED: Mapping[str, type] = {
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
_PART_REQUIRED: Mapping[str, type] = {
    "name": str,
    "options": dict,
    "distribution": str,
    "version": str,
}
_DATA_REQUIRED: Mapping[str, type] = {"name": str, "summary": str, "sha256": str}


@dataclass(frozen=True, slots=True)
class Weights:
    """A weights file's header, and its tensors where they were read."""

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
    """Read a weights file's header and nothing else: no tensor is loaded.

    Raises:
        WeightsError: It is not a weights file of the zoo.
    """
    return _read(path, with_tensors=False)


def read(path: Path) -> Weights:
    """Read a weights file whole and check its digest.

    Raises:
        WeightsError: It is not a weights file of the zoo, or not the one that was written.
    """
    weights = _read(path, with_tensors=True)
    if weights.header["digest"] != digest(weights.header, weights.tensors):
        raise WeightsError(
            "digest does not match",
            where=str(path),
            why="the file has been changed since it was written",
            fix="export it again, or fetch it again",
        )
    return weights


def _read(path: Path, *, with_tensors: bool) -> Weights:
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
            "not a whole safetensors file", where=str(path), why=str(error).splitlines()[0]
        ) from error
    return Weights(path, _header(path, metadata), tensors, shapes)


def _header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if KEY not in metadata:
        raise WeightsError(
            "not a weights file of the zoo",
            where=str(path),
            why=f"its metadata has no key {KEY!r}",
            fix="give a file that `zoo export` made",
        )
    try:
        header = json.loads(metadata[KEY], object_pairs_hook=_once)
        _canonical(header).encode()  # Fails where an escape stands for half a character.
    except (ValueError, RecursionError) as error:
        raise WeightsError("header is not JSON", where=str(path), why=str(error)) from error
    if not isinstance(header, dict) or "format" not in header:
        raise WeightsError("header is incomplete", where=str(path))
    if header["format"] is True or header["format"] != FORMAT:
        raise WeightsError(
            f"unknown format {header['format']!r}", where=str(path), fix="install a newer seqzoo"
        )
    _check(header, _REQUIRED, "header", path)
    for part in ("task", "model"):
        _check(header[part], _PART_REQUIRED, f"header's {part}", path)
    _check(header["data"], _DATA_REQUIRED, "header's data", path)
    _check(header["training"], {"seed": int}, "header's training", path)
    if header["storage"] not in STORAGE:
        raise WeightsError(f"unknown storage {header['storage']!r}", where=str(path))
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that occurs twice: two readers might take two different values."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _check(found: Mapping[str, Any], required: Mapping[str, type], what: str, path: Path) -> None:
    for key, kind in required.items():
        if not isinstance(found.get(key), kind):
            why = f"{key} is {'malformed' if key in found else 'missing'}"
            raise WeightsError(f"{what} is incomplete", where=str(path), why=why)


def _canonical(header: Mapping[str, Any]) -> str:
    return json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of the canonical header without its digest, and of each tensor in turn."""
    total = hashlib.sha256()
    rest = {key: value for key, value in header.items() if key != "digest"}
    total.update(_canonical(rest).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        shape = "x".join(map(str, tensor.shape))
        total.update(f"\0{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{shape}\0".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
