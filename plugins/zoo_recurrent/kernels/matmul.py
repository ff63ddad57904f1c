"""Matrix products of the size of one step of a recurrent layer, at the processor's full rate.

A product is made of tiles of ``TILE_ROWS`` x ``PANEL_WIDTH`` values that stay in vector registers
while the sum runs, the classical inner kernel of a BLAS (K. Goto and R. van de Geijn, Anatomy of
high-performance matrix multiplication, 2008). A BLAS takes more time to set up than one step of a
layer takes; and loops in numba cannot say that the sums stay in registers, so the tile is written
in LLVM's intermediate language.

Addresses and strides are in bytes; all values are float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from zoo_recurrent.kernels.compiler import jit

FLOAT_BYTES, ADDRESS_BYTES = 4, 8
# Sums that fit the registers: 16 vectors of 16 values with AVX-512, 8 of 8 with AVX2.
LANES, TILE_ROWS = (16, 8) if binding.get_host_cpu_features().get("avx512f") else (8, 4)
_VECTORS = 2
PANEL_WIDTH = LANES * _VECTORS


@intrinsic
def _tile(
    context: Any, a: Any, a_stride: Any, b: Any, b_stride: Any, c: Any, c_stride: Any, depth: Any,
    initial: Any, initial_offset: Any,
) -> tuple[Any, Any]:  # fmt: skip
    """c[TILE_ROWS, PANEL_WIDTH] = initial + a[TILE_ROWS, depth] b[depth, PANEL_WIDTH].

    The arguments are those of :func:`matmul` for one tile.
    """
    signature = types.void(*[types.int64] * 9)

    def generate(target: Any, builder: Any, _: Any, arguments: Any) -> Any:
        _generate_tile(builder, *arguments)
        return target.get_dummy_value()

    return signature, generate


def _generate_tile(
    builder: Any, a: Any, a_stride: Any, b: Any, b_stride: Any, c: Any, c_stride: Any, depth: Any,
    initial: Any, initial_offset: Any,
) -> None:  # fmt: skip
    """Write the instructions of one tile."""
    integer, scalar = ir.IntType(64), ir.FloatType()
    vector = ir.VectorType(scalar, LANES)
    multiply_add = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{LANES}f32"
    )
    places = [(row, column) for row in range(TILE_ROWS) for column in range(_VECTORS)]

    def constant(value: int) -> Any:
        return ir.Constant(integer, value)

    def pointer(address: Any, stride: Any, count: int, kind: Any) -> Any:
        offset = builder.mul(stride, constant(count))
        return builder.inttoptr(builder.add(address, offset), kind.as_pointer())

    def vector_pointer(address: Any, column: int) -> Any:
        return pointer(address, constant(LANES * FLOAT_BYTES), column, vector)

    def load_address(addresses: Any, row: int) -> Any:
        return builder.load(pointer(addresses, constant(ADDRESS_BYTES), row, integer))

    def broadcast(value: Any) -> Any:
        undefined = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(first, undefined, zeros)

    targets = {
        (row, column): vector_pointer(builder.add(c, builder.mul(c_stride, constant(row))), column)
        for row, column in places
    }
    a_rows = [load_address(a, row) for row in range(TILE_ROWS)]
    from_target, from_initial, loop, end = (
        builder.append_basic_block(name) for name in ("from_target", "from_initial", "loop", "end")
    )
    accumulates = builder.icmp_signed("==", initial, constant(0))
    builder.cbranch(accumulates, from_target, from_initial)

    builder.position_at_end(from_target)
    first = {from_target: {at: builder.load(targets[at], align=FLOAT_BYTES) for at in places}}
    builder.branch(loop)

    builder.position_at_end(from_initial)
    first[from_initial] = {}
    for row, column in places:
        source = vector_pointer(builder.add(load_address(initial, row), initial_offset), column)
        first[from_initial][row, column] = builder.load(source, align=FLOAT_BYTES)
    builder.branch(loop)

    builder.position_at_end(loop)
    remaining, a_offset, b_address = (builder.phi(integer) for _ in range(3))
    sums = {at: builder.phi(vector) for at in places}
    for block in (from_target, from_initial):
        for phi, value in ((remaining, depth), (a_offset, constant(0)), (b_address, b)):
            phi.add_incoming(value, block)
        for at in places:
            sums[at].add_incoming(first[block][at], block)
    b_vectors = [
        builder.load(vector_pointer(b_address, column), align=FLOAT_BYTES)
        for column in range(_VECTORS)
    ]
    a_values = [broadcast(builder.load(pointer(row, a_offset, 1, scalar))) for row in a_rows]
    results = {
        (row, column): builder.call(
            multiply_add, [a_values[row], b_vectors[column], sums[row, column]]
        )
        for row, column in places
    }
    next_remaining = builder.sub(remaining, constant(1))
    remaining.add_incoming(next_remaining, loop)
    a_offset.add_incoming(builder.add(a_offset, a_stride), loop)
    b_address.add_incoming(builder.add(b_address, b_stride), loop)
    for at in places:
        sums[at].add_incoming(results[at], loop)
    builder.cbranch(builder.icmp_signed(">", next_remaining, constant(0)), loop, end)

    builder.position_at_end(end)
    for at in places:
        builder.store(results[at], targets[at], align=FLOAT_BYTES)


@jit
def matmul(
    a: int, a_stride: int, num_rows: int, b: int, b_panel_stride: int, b_stride: int,
    num_panels: int, depth: int, c: int, c_stride: int, initial: int,
) -> None:  # fmt: skip
    """c = initial + a b, where a is (num_rows, depth) and b (depth, num_panels * PANEL_WIDTH).

    Args:
        a: Address of the addresses of the rows of a.
        a_stride: From one column of a to the next.
        num_rows: Rows of a and c, a multiple of TILE_ROWS.
        b: Address of b, which lies in panels of PANEL_WIDTH columns.
        b_panel_stride: From one panel of b to the next.
        b_stride: From one row of b to the next within a panel.
        num_panels: Panels of b.
        depth: Length of the sums, at least 1.
        c: Address of c.
        c_stride: From one row of c to the next.
        initial: Address of the addresses of the rows that are added; 0: c += a b.
    """
    for panel in range(num_panels):
        for row in range(0, num_rows, TILE_ROWS):
            _tile(  # type: ignore[call-arg]  # the context is passed by numba
                a + row * ADDRESS_BYTES, a_stride, b + panel * b_panel_stride, b_stride,
                c + row * c_stride + panel * PANEL_WIDTH * FLOAT_BYTES, c_stride, depth,
                initial + row * ADDRESS_BYTES if initial else 0, panel * PANEL_WIDTH * FLOAT_BYTES,
            )  # fmt: skip


@jit
def aligned_zeros(count: int) -> npt.NDArray[np.float32]:
    """Return ``count`` zeros that begin at a cache line, so that no vector crosses one."""
    buffer = np.zeros(count + 16, np.float32)
    skip = (-buffer.ctypes.data % 64) // FLOAT_BYTES
    return buffer[skip : skip + count]
