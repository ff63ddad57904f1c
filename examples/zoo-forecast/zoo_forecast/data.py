"""Series of numbers: read from CSV files, and cut into windows of history and horizon."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from zoo.data.ragged import Batches, IntArray
from zoo.data.text import blocks
from zoo.errors import DataError
from zoo.files import digest, digest_text
from zoo.interfaces import Batch
from zoo_forecast.sample import sample

FloatArray = npt.NDArray[np.floating[Any]]
EVALUATION_ROWS = 1024


@dataclass(frozen=True, slots=True)
class WindowSplit:
    """A split of windows of a series: ``history`` steps, and the ``horizon`` steps after them.

    Args:
        series: (N, F) float32 steps of the split; no window reaches beyond them.
        history: T, steps of a window that are read.
        horizon: H, steps of a window that are forecast.
        stride: Steps from the start of a window to that of the next one.
    """

    series: FloatArray
    history: int
    horizon: int
    stride: int

    @property
    def starts(self) -> IntArray:
        """The first step of each window."""
        windows = len(self.series) - self.history - self.horizon + 1
        return np.arange(0, max(windows, 0), self.stride)

    @property
    def num_examples(self) -> int:
        """How many windows there are."""
        return len(self.starts)

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Batches:
        """Return batches of windows in random order."""
        starts = np.random.default_rng((seed, epoch)).permutation(self.starts)
        return self._batches(starts, batch_size)

    def eval_batches(self) -> Batches:
        """Return batches that hold every window once, in order."""
        return self._batches(self.starts, EVALUATION_ROWS)

    def batch(self, starts: IntArray) -> Batch:
        """Return the windows (B, T, F) that begin at ``starts`` (B,), and targets (B, H, F)."""
        steps = starts[:, None] + np.arange(self.history + self.horizon)
        windows = torch.from_numpy(self.series[steps])
        return Batch(
            inputs=windows[:, : self.history],
            lengths=torch.full((len(starts),), self.history),
            targets=windows[:, self.history :],
        )

    def _batches(self, starts: IntArray, size: int) -> Batches:
        return Batches([starts[at : at + size] for at in range(0, len(starts), size)], self.batch)


def load(path: Path | None, columns: Sequence[str]) -> tuple[list[str], FloatArray, str]:
    """Return names of columns, values (N, F) in float64, and the sha256 of the source.

    Args:
        path: A CSV file with a header and a row for each step, in the order of time; None for
            the sample.
        columns: Names of the columns to read; empty: all.

    Raises:
        DataError: The file cannot be read, lacks a column, or has a value that is not a finite
            number; the message names line and column.
    """
    text = sample() if path is None else "".join(blocks(path))
    reader = csv.reader(io.StringIO(text))
    header = [name.strip() for name in next(reader, [])]
    names = list(columns) or header
    if missing := [name for name in names if name not in header]:
        raise DataError(
            f"no column {missing[0]!r}", where=str(path), why=f"columns are {', '.join(header)}"
        )
    if twice := [name for name in names if header.count(name) > 1]:
        raise DataError(f"column {twice[0]!r} is there twice", where=str(path), fix="rename one")
    if not names:
        raise DataError("no header", where=str(path), why="the first line is empty")
    places = [header.index(name) for name in names]
    rows = []
    for row in reader:
        if row:
            where = f"line {reader.line_num} of {path}"
            if len(row) != len(header):
                why = f"it has {len(row)} columns, the header {len(header)}"
                raise DataError("a row of another length", where=where, why=why)
            rows.append([_number(row[place], header[place], where) for place in places])
    values = np.array(rows, dtype=np.float64).reshape(-1, len(names))
    return names, values, digest_text(text) if path is None else digest(path)


def _number(text: str, column: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"column {column!r} has {text.strip()!r}, which is not a finite number",
            where=where,
            fix="fill the gap, or choose columns with --set columns=NAME,NAME",
        )
    return value


def naive_forecast(history: torch.Tensor, horizon: int, season: int | None) -> torch.Tensor:
    """Return the forecast (B, H, F) that repeats the last season, or the last value.

    Source: R. Hyndman and G. Athanasopoulos, Forecasting: principles and practice, section 5.2.

    Args:
        history: (B, T, F), with T at least ``season``.
        horizon: H.
        season: Steps of a season; None: the last value is repeated.
    """
    last = history[:, -(season or 1) :]
    return last[:, torch.arange(horizon, device=history.device) % last.shape[1]]
