"""Matrix products of the size of one step of a recurrent layer, at the processor's full rate.

A product is made of tiles of ``ROWS`` x ``WIDTH`` values that stay in vector registers while the
sum runs, the classical inner kernel of a BLAS (K. Goto and R. van de Geijn, Anatomy of
high-performance matrix multiplication, 2008). A BLAS spends more time getting ready than one step
of a layer takes; and numba's loops alone cannot say that the sums shall stay in registers, so the
tile is written in LLVM's own language.

Addresses and strides are in bytes; all values are float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from zoo_recurrent.fused.compiler import compiled

FLOAT, ADDRESS = 4, 8
# Sums that fit the registers: 32 of 16 values with AVX-512, 16 of 8 with AVX2.
LANES, ROWS = (16, 8) if binding.get_host_cpu_features().get("avx512f") else (8, 4)
_VECTORS = 2
WIDTH = LANES * _VECTORS


@intrinsic
def _tile(context, a, a_deep, b, b_deep, c, c_row, depth, starts, shift) -> tuple[Any, Any]:
    """c[ROWS, WIDTH] = starts[ROWS, WIDTH] + a[ROWS, depth] b[depth, WIDTH]; see matmul."""
    signature = types.void(*[types.int64] * 9)
    integer, scalar = ir.IntType(64), ir.FloatType()
    vector = ir.VectorType(scalar, LANES)
    first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    places = [(row, column) for row in range(ROWS) for column in range(_VECTORS)]

    def generate(target: Any, builder: Any, _: Any, arguments: Any) -> Any:
        a, a_deep, b, b_deep, c, c_row, depth, starts, shift = arguments
        multiply_add = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{LANES}f32"
        )

        def at(address: Any, stride: Any, times: int, kind: Any) -> Any:
            offset = builder.mul(stride, ir.Constant(integer, times))
            return builder.inttoptr(builder.add(address, offset), kind.as_pointer())

        def column_of(address: Any, column: int) -> Any:
            return at(address, ir.Constant(integer, LANES * FLOAT), column, vector)

        def spread(value: Any) -> Any:
            empty = ir.Constant(vector, ir.Undefined)
            one = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(one, empty, first)

        targets = {}
        for row, column in places:
            start = builder.add(c, builder.mul(c_row, ir.Constant(integer, row)))
            targets[row, column] = column_of(start, column)

        def listed(addresses: Any, row: int) -> Any:
            return builder.load(at(addresses, ir.Constant(integer, ADDRESS), row, integer))

        from_rows = [listed(a, row) for row in range(ROWS)]
        own, other, loop, end = map(builder.append_basic_block, ("own", "other", "loop", "end"))
        builder.cbranch(builder.icmp_signed("==", starts, ir.Constant(integer, 0)), own, other)

        builder.position_at_end(own)
        before = {own: {place: builder.load(targets[place], align=FLOAT) for place in places}}
        builder.branch(loop)

        builder.position_at_end(other)
        before[other] = {}
        for row, column in places:
            start = column_of(builder.add(listed(starts, row), shift), column)
            before[other][row, column] = builder.load(start, align=FLOAT)
        builder.branch(loop)

        builder.position_at_end(loop)
        left, deep, from_b = (builder.phi(integer) for _ in range(3))
        sums = {place: builder.phi(vector) for place in places}
        for block in (own, other):
            for phi, value in ((left, depth), (deep, ir.Constant(integer, 0)), (from_b, b)):
                phi.add_incoming(value, block)
            for place in places:
                sums[place].add_incoming(before[block][place], block)
        columns = [builder.load(column_of(from_b, i), align=FLOAT) for i in range(_VECTORS)]
        rows = [spread(builder.load(at(row, deep, 1, scalar))) for row in from_rows]
        after = {
            (row, column): builder.call(
                multiply_add, [rows[row], columns[column], sums[row, column]]
            )
            for row, column in places
        }
        fewer = builder.sub(left, ir.Constant(integer, 1))
        left.add_incoming(fewer, loop)
        deep.add_incoming(builder.add(deep, a_deep), loop)
        from_b.add_incoming(builder.add(from_b, b_deep), loop)
        for place in places:
            sums[place].add_incoming(after[place], loop)
        builder.cbranch(builder.icmp_signed(">", fewer, ir.Constant(integer, 0)), loop, end)

        builder.position_at_end(end)
        for place in places:
            builder.store(after[place], targets[place], align=FLOAT)
        return target.get_dummy_value()

    return signature, generate


@compiled
def matmul(a, a_deep, rows, b, b_panel, b_deep, panels, depth, c, c_row, starts) -> None:
    """c = starts + a b: a is (rows, depth), b (depth, panels * WIDTH).

    Args:
        a: Address of the addresses of the rows of a, whose next column is ``a_deep`` on.
        rows: Rows of a and c, rounded up to a multiple of ROWS: so many are read and written.
        b: Address of b, WIDTH columns at a time: ``b_panel`` on are the next, ``b_deep`` the
            next row.
        depth: Length of the sums, at least 1.
        c: Address of c, whose next row is ``c_row`` on.
        starts: Address of the addresses of the rows that are added; 0: c += a b.
    """
    for panel in range(panels):
        for row in range(0, rows, ROWS):
            _tile(
                a + row * ADDRESS, a_deep, b + panel * b_panel, b_deep,
                c + row * c_row + panel * WIDTH * FLOAT, c_row, depth,
                starts + row * ADDRESS if starts else 0, panel * WIDTH * FLOAT,
            )  # fmt: skip


@compiled
def aligned(count):
    """Return ``count`` zeros that begin a line of the cache: a tile's vectors then cross none."""
    room = np.zeros(count + 16, np.float32)
    skip = (-room.ctypes.data % 64) // FLOAT
    return room[skip : skip + count]
