"""Matrices as 8-bit integers with a scale for each row. No torch here.

A matrix ``NAME`` of a file with ``dtype`` ``int8`` is stored as integers -127 ... 127, and beside
it ``NAME_scale``: a value is integer x scale. Scales have 16 significant bits, so that every such
product is exact in float32: all readers get the same bits, and a matrix that was read is quantized
to what it was read from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

QUANTIZED = "int8"
SUFFIX = "_scale"
LARGEST = 127
LEAST_COLUMNS = 16
"""Matrices with fewer columns have a scale for each column: those of rows would be longer."""

# Below this a row is rounded to zeros; scales are never denormal.
_LEAST_SCALE = np.float32(2.0**-100)

Array = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int8]


def is_quantizable(shape: tuple[int, ...]) -> bool:
    """Return whether a tensor of a shape is stored as integers: vectors are not."""
    return len(shape) == 2 and max(shape) >= LEAST_COLUMNS


def quantize(matrix: Array) -> tuple[Integers, Array]:
    """Return a matrix (R, C) as integers (R, C), rounded to nearest, and their scales.

    Args:
        matrix: Finite numbers.

    Returns:
        The integers, and the scales (R, 1), or (1, C) with fewer than 16 columns: the largest
        absolute value of each row or column over 127, rounded up to 16 significant bits.
    """
    axis = 1 if matrix.shape[1] >= LEAST_COLUMNS else 0
    largest: Array = np.abs(matrix).max(axis=axis, keepdims=True, initial=0)
    scale = largest.astype(np.float32) / np.float32(LARGEST)
    bits = (scale.view(np.uint32) + np.uint32(0xFF)) & np.uint32(0xFFFFFF00)
    scale = np.where(scale < _LEAST_SCALE, np.float32(1), bits.view(np.float32))
    values = np.rint(matrix / scale).clip(-LARGEST, LARGEST).astype(np.int8)
    return values, scale


def dequantize(values: Integers, scale: Array) -> Array:
    """Return integers (R, C) times their scales, which broadcast against them."""
    with np.errstate(over="ignore"):  # Infinities are refused by who reads them.
        product: Array = values.astype(np.float32) * scale
    return product


def quantized_names(dtypes: Mapping[str, str]) -> Collection[str]:
    """Return the tensors of a quantized file that have scales.

    Args:
        dtypes: The dtype of each tensor of the file, as torch names it.
    """
    return [n for n, dtype in dtypes.items() if dtype == QUANTIZED and n + SUFFIX in dtypes]


def problem(name: str, values: Integers, scale: npt.NDArray[np.float32], dtype: str) -> str:
    """Return what is wrong with a quantized matrix of a file, in words; empty: nothing.

    Args:
        name: Its name.
        values: The integers.
        scale: What the file has as its scales.
        dtype: Their dtype in the file, as torch names it.
    """
    if values.ndim != 2:
        return f"{name} is {QUANTIZED} and no matrix"
    rows, columns = values.shape
    shape = (rows, 1) if columns >= LEAST_COLUMNS else (1, columns)
    if dtype != "float32":
        return f"{name}{SUFFIX} is {dtype}, not float32"
    if scale.shape != shape:
        return f"{name}{SUFFIX} has shape {scale.shape}, not {shape}"
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        return f"{name}{SUFFIX} has a scale that is not a finite number above 0"
    if values.size and values.min() < -LARGEST:
        return f"{name} has {values.min()}, and integers are -{LARGEST} to {LARGEST}"
    return ""
