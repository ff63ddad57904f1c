"""From what follows ``--data`` to a path."""

from __future__ import annotations

from pathlib import Path

from zoo.catalog import Catalog
from zoo.data.download import fetch
from zoo.errors import DataError
from zoo.registry import suggestion

SAMPLE = "sample"


def locate(data: str, catalog: Catalog) -> Path | None:
    """Return where the data lies, downloading it if it is a data row of the catalog.

    Args:
        data: ``sample`` or nothing for the sample that a task carries, the name of a data row, or
            a path.
        catalog: The rows.

    Raises:
        DataError: It is neither a row nor a path.
        NetworkError: The download failed.
    """
    if data in ("", SAMPLE):
        return None
    if data in catalog.data:
        return fetch(catalog.data[data])
    path = Path(data)
    if not path.exists():
        raise DataError(
            f"no data {data!r}{suggestion(data, [SAMPLE, *catalog.data])}",
            why="it is neither a path nor a name",
            fix=f"names are {', '.join([SAMPLE, *catalog.data])}",
        )
    return path
