"""A reader and a writer of weights files that share no code with zoo's."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plain_sentiment import PLAIN

Tensors = dict[str, tuple[str, list[int], bytes]]
"""Of each tensor: dtype as safetensors names it, shape, bytes."""

DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "C64": "complex64",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


def parse(path: Path, key: str = "zoo") -> tuple[dict[str, Any], Tensors]:
    """Read a safetensors file: length, JSON header, data. Return zoo's header and the tensors."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + size])
    header = json.loads(table.pop("__metadata__")[key])
    data = content[8 + size :]
    tensors = {}
    for name, entry in table.items():
        first, after = entry["data_offsets"]
        tensors[name] = (entry["dtype"], entry["shape"], data[first:after])
    return header, tensors


def canonical(header: dict[str, Any]) -> str:
    return json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(header: dict[str, Any], tensors: Tensors) -> str:
    total = hashlib.sha256()
    total.update(canonical({k: v for k, v in header.items() if k != "digest"}).encode())
    for name, (dtype, shape, data) in sorted(tensors.items()):
        total.update(f"\0{name}\0{DTYPES[dtype]}\0{'x'.join(map(str, shape))}\0".encode())
        total.update(data)
    return total.hexdigest()


def unparse(path: Path, metadata: str, tensors: Tensors, key: str = "zoo") -> Path:
    """Write a safetensors file with any text as zoo's header."""
    table: dict[str, Any] = {"__metadata__": {key: metadata}}
    data = b""
    for name, (dtype, shape, content) in tensors.items():
        offsets = [len(data), len(data) + len(content)]
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        data += content
    start = json.dumps(table).encode()
    start += b" " * (-len(start) % 8)
    path.write_bytes(struct.pack("<Q", len(start)) + start + data)
    return path


def forge(path: Path, header: dict[str, Any], tensors: Tensors, key: str = "zoo") -> Path:
    """Write a file whose digest is right, whatever else is not."""
    return unparse(path, canonical({**header, "digest": digest(header, tensors)}), tensors, key)


def with_run(header: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a header with other values in its description of the run."""
    return {**header, "run": {**header["run"], **changes}}


def before_digests(header: dict[str, Any]) -> dict[str, Any]:
    """Return a header as 0.3 and before wrote it, without digests of weights and settings."""
    probe = {key: header["probe"][key] for key in ("batch", "outputs")}
    rest = {k: v for k, v in header.items() if k not in ("weights_sha256", "environment")}
    metrics = {
        split: {k: v for k, v in entry.items() if k not in ("weights_sha256", "data_sha256")}
        for split, entry in header["metrics"].items()
    }
    return {**rest, "probe": probe, "metrics": metrics}


def train_all(train: Callable[..., Any], folder: Path, text_file: Path) -> dict[str, Path]:
    """Train three networks for a few steps; return their weights files by name."""
    small = ("steps=4", "learning_rate=0.05", "hidden_size=5", "embed_size=6")
    more = {
        "sentiment/lstm": PLAIN,
        "sentiment/bilstm": (*PLAIN, "num_layers=2"),
        "char-lm/lstm": ("num_layers=2",),
    }
    paths = {}
    for name, settings in more.items():
        out = folder / name.replace("/", "-")
        train(name, out, *settings, *small, data=text_file if "char" in name else "")
        paths[name] = out / "weights.safetensors"
    return paths
