"""Shards in Parquet: read by pages and columns, never as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from zoo.data.shard_files import Shard, opened
from zoo.errors import DataError
from zoo_text.shards.formats import BATCH, Rows, Unit
from zoo_text.tables import arrow
from zoo_text.tables.objects import as_cell


@contextmanager
def opened_parquet(shard: Shard) -> Iterator[Any]:
    """Open a shard as a ``pyarrow.parquet.ParquetFile``.

    Raises:
        DataError: It is damaged, or pyarrow is missing.
        NetworkError: A server does not answer.
    """
    pa = arrow.pyarrow()
    from pyarrow import parquet

    try:
        # Pages are read as they are needed, not whole row groups.
        with (
            opened(shard) as file,
            parquet.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False) as parquet_file,
        ):
            yield parquet_file
    except (pa.ArrowException, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise DataError(
            "cannot read the Parquet file", where=shard.url, why=why, fix="write or fetch it again"
        ) from error


def read_parquet(unit: Unit, columns: Sequence[str]) -> Iterator[Rows]:
    """Yield batches of rows of some row groups; only these columns are fetched."""
    with opened_parquet(unit.shard) as file:
        classes = arrow.class_names(file.schema_arrow)
        groups = list(range(unit.first, unit.after))
        for batch in file.iter_batches(BATCH, row_groups=groups, columns=list(columns)):
            found = {}
            for name in columns:
                cells = [as_cell(cell) for cell in batch.column(name).to_pylist()]
                if name in classes:
                    cells = [arrow.named(cell, classes[name]) for cell in cells]
                found[name] = cells
            yield found
