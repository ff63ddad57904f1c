"""From what follows ``--data`` to a path."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from zoo.data.download import fetch
from zoo.errors import DataError
from zoo.files import cache_folder
from zoo.records import DatasetInfo
from zoo.spec import SAMPLE


def locate(data: str, dataset: DatasetInfo | None) -> Path | None:
    """Return where the data is, downloading it if it is a data set that is not in the cache.

    Args:
        data: ``sample`` or nothing for the sample that a task carries, the name of ``dataset``,
            or a path.
        dataset: The data set that ``data`` names, if it names one.

    Raises:
        DataError: There is nothing at the path.
        NetworkError: The download failed.
    """
    if data in ("", SAMPLE):
        return None
    if dataset is not None:
        return fetch(dataset)
    path = Path(data)
    if not path.exists():
        raise DataError(
            f"no data {data!r}",
            why="it is neither a path nor the name of a data set",
            fix="check the path",
        )
    return path


def is_downloaded(dataset: DatasetInfo) -> bool:
    """Return whether the file of a data set is in the cache, so that :func:`locate` finds it."""
    name = f"{dataset.name}-{Path(urlsplit(dataset.url).path).name}"
    return (cache_folder() / "downloads" / name).is_file()
