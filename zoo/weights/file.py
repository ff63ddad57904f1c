"""The weights file: one safetensors file with everything that using the weights needs.

Tensors have the names of torch modules. One metadata key, ``zoo``, holds canonical JSON: what the
network is, what its token ids mean, its metrics, a digest of all of it and of the tensors, and a
probe: an input and the outputs that the network must give for it. Reading the file takes nothing
but a safetensors reader, and runs, imports or downloads nothing that the file names. The layout
is described in ``docs/weights-file.md``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors

from zoo.errors import WeightsError
from zoo.files import write_atomically
from zoo.weights.header import (
    KEY,
    MAX_BYTES,
    canonical,
    check_size,
    parse_header,
    upgraded,
)
from zoo.weights.stored import StoredTensor

if TYPE_CHECKING:
    from torch import Tensor

MAX_TENSORS = 1 << 16


@dataclass(frozen=True, slots=True)
class Weights:
    """What a weights file holds.

    Args:
        path: The file.
        header: Its header, in the format of this version.
        tensors: Its tensors, of torch or each a :class:`StoredTensor`; empty where only the header
            was read.
        shapes: dtype, as safetensors names it, and shape of each tensor.
    """

    path: Path
    header: Mapping[str, Any]
    tensors: Mapping[str, Any]
    shapes: Mapping[str, tuple[str, tuple[int, ...]]]


def write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write a weights file, adding the digest to its header.

    Raises:
        WeightsError: The header is too large or has a number that is not finite, or the file
            format has no such dtype.
        DiskError: The file cannot be written.
    """
    import safetensors.torch

    try:
        full = canonical({**header, "digest": digest(header, tensors)}, allow_nan=False)
        check_size(full)
    except ValueError as error:
        raise WeightsError("cannot write the header", where=str(path), why=str(error)) from error
    try:
        content = safetensors.torch.save(dict(tensors), {KEY: full})
    except KeyError as error:
        raise WeightsError(f"cannot store tensors of {error.args[0]}", where=str(path)) from error
    write_atomically(path, content)


def inspect(path: Path) -> Weights:
    """Read the header of a weights file and nothing else: no tensor is loaded.

    Raises:
        WeightsError: It is not a weights file of zoo, or of a later version.
    """
    header, _, shapes = _open(path)
    return Weights(path, upgraded(header, path), {}, shapes)


def read(path: Path, *, torch: bool = True) -> Weights:
    """Read a weights file whole and check its digest.

    Args:
        path: The file.
        torch: Whether its tensors are read as those of torch; False: each as a
            :class:`StoredTensor`, and torch is not imported.

    Raises:
        WeightsError: It is not a weights file of zoo, or has been changed since it was written.
    """
    header, tensors, shapes = _open(path, tensors_of="pt" if torch else "np")
    if header["digest"] != digest(header, tensors):
        raise WeightsError(
            "digest does not match",
            where=str(path),
            why="the file has been changed since it was written",
            fix="export it again, or download it again",
        )
    return Weights(path, upgraded(header, path), tensors, shapes)


def _open(
    path: Path, *, tensors_of: str = ""
) -> tuple[dict[str, Any], dict[str, Any], dict[str, tuple[str, tuple[int, ...]]]]:
    """Return the header as it was written, the tensors, and their dtypes and shapes."""
    tensors: dict[str, Any] = {}
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
    if not path.is_file():
        raise WeightsError(
            "no such file", where=str(path), fix="give a file that `zoo export` made"
        )
    try:
        _check_length(path)
        with safetensors.safe_open(path, framework=tensors_of or "np") as file:
            header = parse_header(path, file.metadata() or {})
            names = list(file.keys())
            if len(names) > MAX_TENSORS:
                raise WeightsError(
                    f"the file has {len(names):,} tensors",
                    where=str(path),
                    why=f"{MAX_TENSORS:,} are allowed",
                )
            for name in names:
                part = file.get_slice(name)
                shapes[name] = (part.get_dtype(), tuple(part.get_shape()))
                if tensors_of == "pt":
                    tensors[name] = file.get_tensor(name)
        if tensors_of == "np":
            # Not as arrays: NumPy has no bfloat16, and the digest is of the bytes.
            found: Any = safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
            tensors = {name: StoredTensor.of(tensor) for name, tensor in found}
    except (safetensors.SafetensorError, OSError, OverflowError, RuntimeError) as error:
        raise WeightsError(
            "not a complete safetensors file", where=str(path), why=str(error).splitlines()[0]
        ) from error
    return header, tensors, shapes


def _check_length(path: Path) -> None:
    """Refuse a header that takes long to read, before it is read.

    A safetensors file starts with its length, 8 bytes. It holds zoo's as an escaped string.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if 2 * MAX_BYTES < length <= path.stat().st_size:
        raise WeightsError(
            "the header is too large",
            where=str(path),
            why=f"it has {length:,} bytes, and {2 * MAX_BYTES:,} are allowed",
        )


def digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor | StoredTensor]) -> str:
    """Return the sha256 of the canonical header without its digest, and of each tensor in turn."""
    rest = {key: value for key, value in header.items() if key != "digest"}
    total = hashlib.sha256(canonical(rest).encode())
    _add(total, tensors)
    return total.hexdigest()


def weights_digest(tensors: Mapping[str, Tensor | StoredTensor]) -> str:
    """Return the sha256 of the tensors alone: of each one in turn, as in :func:`digest`."""
    total = hashlib.sha256()
    _add(total, tensors)
    return total.hexdigest()


def _add(total: Any, tensors: Mapping[str, Tensor | StoredTensor]) -> None:
    for name in sorted(tensors):
        tensor = tensors[name]
        shape = "x".join(map(str, tensor.shape))
        total.update(f"\0{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{shape}\0".encode())
        total.update(_content(tensor))


def _content(tensor: Tensor | StoredTensor) -> Any:
    """Return the bytes of a tensor."""
    if isinstance(tensor, StoredTensor):
        return tensor.data
    import torch

    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
