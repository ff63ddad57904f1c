"""Products of a matrix with one vector, at the rate at which the matrix is read.

One row of inputs, as in generation, uses every weight once, so that the time is that of reading the
weights: half of it for 16 bits, and a quarter for 8. Weights are read as they are stored, float32,
float16 or int8. The sums of four rows run side by side in vector registers. Those of 8-bit weights
are sums of integers: the vector is rounded to 16 bits first, as processors add up products of pairs
of 16 bits (``pmaddwd``) faster than they convert integers to float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import binding, ir
from numba import float32, int16, types
from numba.core import cgutils
from numba.extending import intrinsic

from zoo_recurrent.kernels.cells import Floats
from zoo_recurrent.kernels.compiler import jit

ROWS, COLUMNS = 4, 16
"""Numbers of rows and of columns are multiples of these."""

# Without it LLVM would call a function for each number.
READS_FLOAT16 = bool(binding.get_host_cpu_features().get("f16c"))

_LANES = 8
_INTEGER, _INT32, _FLOAT = ir.IntType(64), ir.IntType(32), ir.FloatType()
_FLOATS = ir.VectorType(_FLOAT, _LANES)
_MOST = 2**31 - 1


def _constant(value: int) -> Any:
    return ir.Constant(_INTEGER, value)


def _load(builder: Any, address: Any, offset: Any, element: Any, count: int, size: int) -> Any:
    """Load a vector of ``count`` elements that lies ``offset`` elements after an address."""
    at = builder.add(address, builder.mul(offset, _constant(size)))
    pointer = builder.inttoptr(at, ir.VectorType(element, count).as_pointer())
    return builder.load(pointer, align=size)


def _shuffle(builder: Any, vector: Any, lanes: range) -> Any:
    mask = ir.Constant(ir.VectorType(_INT32, len(lanes)), list(lanes))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def _total(builder: Any, vector: Any) -> Any:
    """Return the sum of the lanes of a vector."""
    add = builder.add if vector.type.element == _INT32 else builder.fadd
    count = vector.type.count
    while count > 1:
        halves = (
            _shuffle(builder, vector, range(count // 2)),
            _shuffle(builder, vector, range(count // 2, count)),
        )
        vector, count = add(*halves), count // 2
    return builder.extract_element(vector, ir.Constant(_INT32, 0))


def _multiply_floats(builder: Any, weight: Any, vector: Any, total: Any) -> Any:
    function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, ir.FunctionType(_FLOATS, [_FLOATS] * 3), f"llvm.fmuladd.v{_LANES}f32"
    )
    return builder.call(function, [weight, vector, total])


def _multiply_integers(builder: Any, weight: Any, vector: Any, total: Any) -> Any:
    """Return total[j] + weight[2j] vector[2j] + weight[2j + 1] vector[2j + 1].

    LLVM makes one instruction of it where the processor has that.
    """
    wide = ir.VectorType(_INT32, COLUMNS)
    short = builder.sext(weight, ir.VectorType(ir.IntType(16), COLUMNS))
    products = builder.mul(builder.sext(short, wide), builder.sext(vector, wide))
    even, odd = (_shuffle(builder, products, range(first, COLUMNS, 2)) for first in (0, 1))
    return builder.add(total, builder.add(even, odd))


def _generate(kind: str, builder: Any, *arguments: Any) -> None:
    """Write the instructions of the sums of four rows."""
    weight, stride, vector, columns, out = arguments
    integers = kind == "int8"
    lanes = COLUMNS if integers else _LANES
    sums_type = ir.VectorType(_INT32, COLUMNS // 2) if integers else _FLOATS
    element, size = {
        "int8": (ir.IntType(8), 1), "float16": (ir.IntType(16), 2), "float32": (_FLOAT, 4)
    }[kind]  # fmt: skip
    of_vector, vector_size = (ir.IntType(16), 2) if integers else (_FLOAT, 4)
    multiply = _multiply_integers if integers else _multiply_floats
    rows = [builder.add(weight, builder.mul(stride, _constant(row))) for row in range(ROWS)]
    start = builder.block
    loop, end = builder.append_basic_block("loop"), builder.append_basic_block("end")
    builder.branch(loop)

    builder.position_at_end(loop)
    column = builder.phi(_INTEGER)
    column.add_incoming(_constant(0), start)
    sums = [builder.phi(sums_type) for _ in rows]
    values = _load(builder, vector, column, of_vector, lanes, vector_size)
    results = []
    for row, total in zip(rows, sums, strict=True):
        total.add_incoming(ir.Constant(sums_type, None), start)
        read = _load(builder, row, column, element, lanes, size)
        if kind == "float16":
            read = builder.bitcast(read, ir.VectorType(ir.HalfType(), lanes))
            read = builder.fpext(read, _FLOATS)
        results.append(multiply(builder, read, values, total))
    following = builder.add(column, _constant(lanes))
    column.add_incoming(following, loop)
    for total, result in zip(sums, results, strict=True):
        total.add_incoming(result, loop)
    builder.cbranch(builder.icmp_signed("<", following, columns), loop, end)

    builder.position_at_end(end)
    for row, result in enumerate(results):
        value = _total(builder, result)
        value = builder.sitofp(value, _FLOAT) if integers else value
        address = builder.add(out, _constant(row * 4))
        builder.store(value, builder.inttoptr(address, _FLOAT.as_pointer()), align=4)


def _intrinsic(kind: str) -> Any:
    """Return a function that writes the products of four rows with a vector.

    Its arguments are the address of the first row, the bytes from one row to the next, the address
    of the vector, the number of columns, and the address of the four results.
    """

    def four_rows(
        context: Any, weight: Any, stride: Any, vector: Any, columns: Any, out: Any
    ) -> tuple[Any, Any]:
        def generate(target: Any, builder: Any, _: Any, arguments: Any) -> Any:
            _generate(kind, builder, *arguments)
            return target.get_dummy_value()

        return types.void(*[types.int64] * 5), generate

    return intrinsic(four_rows)


_float32_rows, _float16_rows, _int8_rows = map(_intrinsic, ("float32", "float16", "int8"))


@jit
def add_product(
    weight: npt.NDArray[Any], scale: Floats, values: Floats, rounded: npt.NDArray[np.int16],
    unit: Any, sums: Floats, out: Floats,
) -> None:  # fmt: skip
    """out += W x.

    Args:
        weight: (R, C) of float32, of uint16 that are the bits of float16, or of int8, padded to
            multiples of ROWS and COLUMNS.
        scale: (R,) what the integers of each row are multiplied by; not read for others.
        values: (C,), x. For int8 ``rounded`` is read.
        rounded: (C,), what :func:`round_vector` wrote.
        unit: What it returned.
        sums: (R,) is overwritten.
        out: (N,) for the first N rows.
    """
    stride, columns = weight.shape[1] * weight.itemsize, weight.shape[1]
    address, to = weight.ctypes.data, sums.ctypes.data
    # The condition is known when this is compiled.
    if weight.itemsize == 1:
        for row in range(0, weight.shape[0], 4):
            _int8_rows(address + row * stride, stride, rounded.ctypes.data, columns, to + 4 * row)
        for row in range(out.size):
            out[row] += sums[row] * (scale[row] * unit)
    else:
        for row in range(0, weight.shape[0], 4):
            begin = address + row * stride
            if weight.itemsize == 2:
                _float16_rows(begin, stride, values.ctypes.data, columns, to + 4 * row)
            else:
                _float32_rows(begin, stride, values.ctypes.data, columns, to + 4 * row)
        for row in range(out.size):
            out[row] += sums[row]


@jit
def round_vector(values: Floats, rounded: npt.NDArray[np.int16]) -> Any:
    """Round a vector to 16 bits, or to fewer where sums of 32 bits would overflow.

    Args:
        values: (C,).
        rounded: (C,), written: the integers nearest to values / unit.

    Returns:
        The unit.
    """
    largest = float32(0)
    for j in range(values.size):
        largest = max(largest, abs(values[j]))
    most = float32(min(32767, _MOST // (127 * values.size)))
    unit = float32(largest / most)
    inverse = float32(most / largest) if largest > 0 else float32(0)
    for j in range(values.size):
        rounded[j] = int16(np.rint(values[j] * inverse))
    return unit
