"""The header of a weights file: read as JSON within bounds, and checked before it is used."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import WeightsError
from zoo.formats import FORMAT, QUANTIZED_FORMAT, check_format, upgrade_header
from zoo.weights.quantization import QUANTIZED

KEY = "zoo"
DTYPE_NAMES = ("float32", "float16", "bfloat16")

# Far above what any model needs. A header within these bounds is read in seconds and in less than
# 512 MiB of memory.
MAX_BYTES = 1 << 25
MAX_VALUES = 4_000_000
MAX_CONTAINERS = 200_000
MAX_DEPTH = 32

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


def canonical(header: Mapping[str, Any], *, allow_nan: bool = True) -> str:
    """Return a header as canonical JSON.

    Raises:
        ValueError: A number in it is not finite, unless ``allow_nan``.
    """
    return json.dumps(
        header, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=allow_nan
    )


def check_size(text: str) -> None:
    """Check that a header can be read in little time and memory.

    Raises:
        ValueError: It is larger than a header may be.
    """
    found = {
        "characters": (len(text), MAX_BYTES),
        "values": (text.count(",") + 1, MAX_VALUES),
        "lists and objects": (text.count("[") + text.count("{"), MAX_CONTAINERS),
    }
    for what, (number, largest) in found.items():
        if number > largest:
            raise ValueError(f"it has {number:,} {what}, and {largest:,} are allowed")


def parse_header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the header as it was written, checked against the format that it says it has.

    Raises:
        WeightsError: It is not the header of a weights file of zoo, or of a later version.
    """
    if KEY not in metadata:
        raise WeightsError(
            "not a weights file of zoo",
            where=str(path),
            why=f"its metadata has no key {KEY!r}",
            fix="give a file that `zoo export` made",
        )
    try:
        check_size(metadata[KEY])
        header = json.loads(
            metadata[KEY],
            object_pairs_hook=_refuse_repeated_keys,
            parse_constant=_finite,
            parse_float=_finite,
        )
        _check_depth(header)
        canonical(header).encode()  # Fails where an escape stands for half a character.
    except (ValueError, RecursionError) as error:
        raise WeightsError("the header is not JSON", where=str(path), why=str(error)) from error
    if not isinstance(header, dict) or "format" not in header:
        raise WeightsError("the header is incomplete", where=str(path))
    version = check_format(header, str(path), QUANTIZED_FORMAT)
    if version == 1:
        run, dtype = header, header.get("storage")
        _check(header, _REQUIRED_OF_FORMAT_1, "header", path)
        _check(header["training"], {"seed": int}, "header's training", path)
        _check(header["probe"], {"batch": dict, "logits": list}, "header's probe", path)
    else:
        _check(header, _REQUIRED, "header", path)
        run, dtype = header["run"], header["dtype"]
        _check(run, _REQUIRED_OF_RUN, "header's run", path)
        if not -(1 << 63) <= run["seed"] < 1 << 64:  # What torch takes.
            raise WeightsError("the header's run has no seed", where=str(path))
        _check(header["probe"], {"batch": dict, "outputs": list}, "header's probe", path)
        # Format 2 has these since 0.4.
        since = {"weights_sha256": str, "environment": dict, "quantization": dict}
        _check(header, {key: since[key] for key in since.keys() & header.keys()}, "header", path)
        versions = header.get("environment", {})
        _check(versions, dict.fromkeys(versions, str), "header's environment", path)
    components = {"task": run["task"], "model": run["model"], **run.get("submodels", {})}
    for part, component in components.items():
        _check(component, _REQUIRED_OF_COMPONENT, f"header's {part}", path)
    _check(header["data"], _REQUIRED_OF_DATA, "header's data", path)
    for split, metrics in header["metrics"].items():
        _check(metrics, {}, f"header's metrics of {split}", path)
    if dtype not in ((QUANTIZED,) if version == QUANTIZED_FORMAT else DTYPE_NAMES):
        raise WeightsError(f"unknown dtype {dtype!r}", where=str(path))
    return header


def upgraded(header: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a checked header in the format of this version.

    Raises:
        WeightsError: It is incomplete.
    """
    if header["format"] >= FORMAT:
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


def _finite(text: str) -> float:
    """Return a number that is one; Python also reads ``NaN``, and 1e999 as infinity."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _check_depth(document: object) -> None:
    level: list[Any] = [[document]]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is list or type(inner) is dict
        ]
        if not level:
            return
    raise ValueError(f"it is nested more than {MAX_DEPTH} deep")


def _check(found: object, required: Mapping[str, type], what: str, path: Path) -> None:
    if not isinstance(found, Mapping):
        raise WeightsError(f"the {what} is malformed", where=str(path))
    for key, kind in required.items():
        if type(found.get(key)) is not kind:  # True is no integer here.
            why = f"{key} is {'malformed' if key in found else 'missing'}"
            raise WeightsError(f"the {what} is incomplete", where=str(path), why=why)
