"""How rows and weights are laid out for the kernels: groups of rows, gates, panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zoo_recurrent.kernels.matmul import PANEL_WIDTH, TILE_ROWS
from zoo_recurrent.kernels.structures import Ints

if TYPE_CHECKING:
    from torch import Tensor

# The most rows that take a step together: more would evict each other from the cache.
_MAX_GROUP = 32


class Gates(NamedTuple):
    """The parameters of a layer by gate; float32 tensors.

    Args:
        input: (gates, H, I).
        bias: (gates, H), b_ih + b_hh.
        recurrent: (recurrent gates, H, H); they are the last gates.
    """

    input: Tensor
    bias: Tensor
    recurrent: Tensor


def split_gates(mode: str, weights: list[Tensor]) -> Gates:
    """Split W_ih, W_hh, b_ih and b_hh of torch.nn by gate.

    The GRU's new gate has two sums, n of the input and n of the state, which meet only after the
    reset gate. They are gates of their own here, in the order n of x, r, z, n of h: the first three
    read inputs, the last three the state.
    """
    import torch

    w_ih, w_hh, b_ih, b_hh = weights
    size = w_hh.shape[1]
    recurrent = w_hh.view(-1, size, size)
    if mode != "GRU":
        return Gates(w_ih.view(-1, size, w_ih.shape[1]), (b_ih + b_hh).view(-1, size), recurrent)
    r_and_z, n = slice(2 * size), slice(2 * size, None)
    input_ = torch.cat((w_ih[n], w_ih[r_and_z], torch.zeros_like(w_ih[:size])))
    bias = torch.cat((b_ih[n], b_ih[r_and_z] + b_hh[r_and_z], b_hh[n]))
    return Gates(input_.view(4, size, -1), bias.view(4, size), recurrent)


def group_rows(lengths: Ints, num_threads: int) -> tuple[Ints, Ints]:
    """Share rows out to threads, and each thread's to groups of at most _MAX_GROUP rows.

    Every thread gets the same number of groups, and rows of nearly the same lengths.

    Returns:
        The rows (B,), those of a group next to each other and the longest first; and where each
        group begins and the last one ends (groups + 1,).
    """
    longest_first = np.argsort(-lengths, kind="stable")
    by_thread = [longest_first[thread::num_threads] for thread in range(num_threads)]
    num_groups = -(-len(by_thread[0]) // _MAX_GROUP)
    bounds = [0]
    for rows in by_thread:
        begin, num_tiles = bounds[-1], -(-len(rows) // TILE_ROWS)
        # Only the last group of a thread may end within a tile.
        ends = (TILE_ROWS * (num_tiles * n // num_groups) for n in range(1, num_groups + 1))
        bounds += [begin + min(end, len(rows)) for end in ends]
    return np.concatenate(by_thread), np.array(bounds)


def pack_panels(matrices: Tensor) -> Tensor:
    """Return N matrices (rows, columns) as (N, panels, rows, PANEL_WIDTH), contiguous."""
    from torch.nn.functional import pad

    columns = matrices.shape[2]
    wide = pad(matrices, (0, round_up(columns, PANEL_WIDTH) - columns))
    panels = wide.unflatten(2, (wide.shape[2] // PANEL_WIDTH, PANEL_WIDTH))
    packed: Tensor = panels.transpose(1, 2).contiguous()
    return packed


def round_up(count: int, unit: int) -> int:
    """Round up to a multiple of ``unit``."""
    return -(-count // unit) * unit
