"""Pairs of token sequences: read from files, split, and batched with the lengths of both."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from zoo.data.ragged import Batches, IntArray, Ragged
from zoo.data.text import blocks
from zoo.errors import DataError
from zoo.files import digest, digest_text
from zoo.interfaces import Batch
from zoo_seq2seq.sample import sample

Pair = tuple[str, str]
"""Source and target."""


@dataclass(frozen=True, kw_only=True)
class PairBatch(Batch):
    """A batch whose targets are sequences with lengths of their own.

    ``targets`` are (B, U) token ids that end with the end token, padded with zeros.

    Args:
        target_lengths: (B,) number of target tokens of each row, the end token included.
    """

    target_lengths: Tensor


@dataclass(frozen=True, slots=True)
class PairSplit:
    """A split of pairs.

    Args:
        sources: The sources; the target of each is the index of its row in ``targets``.
        targets: The targets.
    """

    sources: Ragged
    targets: Ragged

    @classmethod
    def of(cls, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> PairSplit:
        """Return the split of token ids."""
        rows = range(len(sources))
        return cls(Ragged.of(sources, rows), Ragged.of(targets, rows))

    @property
    def num_examples(self) -> int:
        """How many pairs there are."""
        return self.sources.num_examples

    def select(self, rows: IntArray) -> PairSplit:
        """Return the split of some of the pairs, by index."""
        return replace(self, sources=self.sources.select(rows))

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Batches:
        """Return batches of sources of similar length, in random order."""
        return Batches(self.sources.train_batches(seed, epoch, batch_size), self._add_targets)

    def eval_batches(self) -> Batches:
        """Return batches that hold every pair once."""
        return Batches(self.sources.eval_batches(), self._add_targets)

    def batch(self, rows: IntArray) -> PairBatch:
        """Return some pairs, by index, padded to the longest source and the longest target."""
        return self._add_targets(self.sources.batch(rows))

    def _add_targets(self, batch: Batch) -> PairBatch:
        targets = self.targets.batch(batch.targets.numpy())
        return PairBatch(
            # Without the steps beyond the longest row, which attention and decoder would compute.
            inputs=batch.inputs[:, : batch.lengths.max()],
            lengths=batch.lengths,
            targets=targets.inputs[:, : targets.lengths.max()],
            target_lengths=targets.lengths,
        )


def split_units(text: str, units: str) -> list[str]:
    """Return the tokens of a text: its characters, or its words."""
    return text.split() if units == "words" else list(text)


def join_units(tokens: Sequence[str], units: str) -> str:
    """Return the text of tokens."""
    return (" " if units == "words" else "").join(tokens)


def load(path: Path | None) -> tuple[list[Pair], str]:
    """Return the pairs of a file, or of the sample, and the sha256 of their source.

    Args:
        path: A file of two columns, source and target: separated by commas and quoted as in CSV
            where the name ends with ``.csv``, else separated by a tab.

    Raises:
        DataError: The file cannot be read, or a row does not have two columns with text.
    """
    text = sample() if path is None else "".join(blocks(path))
    if path is not None and path.suffix.lower() == ".csv":
        reader = csv.reader(io.StringIO(text), strict=True)
    else:
        reader = csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    pairs = []
    try:
        for row in reader:
            if not row:
                continue
            if len(row) != 2 or not all(column.strip() for column in row):
                raise DataError(
                    f"{len(row)} columns" if len(row) != 2 else "an empty column",
                    where=f"line {reader.line_num} of {path}",
                    fix="write SOURCE<tab>TARGET or, in a .csv file, SOURCE,TARGET",
                )
            pairs.append((row[0].strip(), row[1].strip()))
    except csv.Error as error:
        where = f"line {reader.line_num} of {path}"
        raise DataError("not a CSV file", where=where, why=str(error)) from error
    return pairs, digest_text(text) if path is None else digest(path)


def split_rows(number: int, seed: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return the rows of training (80 %), validation and test (10 % each), drawn at random."""
    order = np.random.default_rng(seed).permutation(number)
    train, validation, test = np.split(order, [number * 8 // 10, number * 9 // 10])
    return train, validation, test
