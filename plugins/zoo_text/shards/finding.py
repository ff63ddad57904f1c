"""Whether a path is a set of shards: a listing, a folder of tables, or a very large table."""

from __future__ import annotations

from pathlib import Path

from zoo.data.shards import Shards, list_shards, read_list
from zoo_text.tables import arrow
from zoo_text.tables.delimited import plain_suffix
from zoo_text.tables.streams import is_folder

# Smaller tables are read into memory, where parts are drawn by label.
LARGE = 2 << 30
_SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".csv", ".tsv", ".tab")


def find_shards(path: Path | None) -> Shards | None:
    """Return the shards that a path stands for; None where it is data of another kind.

    A folder of tables is one, unless tables are named after parts, such as ``train.csv``, and are
    smaller than 2 GiB together. So is a table of 2 GiB or more.

    Args:
        path: What :func:`zoo.data.source.locate` returned.

    Raises:
        DataError: A shard of a numbered set is missing.
    """
    if path is None:
        return None
    if (listed := read_list(path)) is not None:
        return listed
    if not is_folder(path):
        large = path.is_file() and path.stat().st_size >= LARGE
        return list_shards([path]) if large and plain_suffix(path) in _SUFFIXES else None
    if arrow.is_dataset_folder(path):
        return None
    visible = sorted(file for file in path.iterdir() if file.name[0] not in "._")
    tables = [file for file in visible if file.is_file() and plain_suffix(file) in _SUFFIXES]
    if not tables or any(file.is_dir() or file.suffix == ".txt" for file in visible):
        return None
    has_parts = any(arrow.part_of(file.name.split(".")[0]) == 0 for file in tables)
    if has_parts and sum(file.stat().st_size for file in tables) < LARGE:
        return None
    return list_shards(tables)
