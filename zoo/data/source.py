"""From what follows ``--data`` to a path."""

from __future__ import annotations

import stat
from pathlib import Path

from zoo.data.download import download_path, fetch
from zoo.data.shards import list_shards, save_list
from zoo.errors import DataError
from zoo.files import digest, is_pattern
from zoo.records import DatasetInfo
from zoo.spec import SAMPLE


def locate(data: str, dataset: DatasetInfo | None) -> Path | None:
    """Return where the data is, downloading it if it is a data set that is not in the cache.

    Args:
        data: ``sample`` or nothing for the sample that a task carries, the name of ``dataset``,
            a path, or the pattern or URL of shards, whose listing is returned.
        dataset: The data set that ``data`` names, if it names one.

    Raises:
        DataError: There is nothing at the path, or a device or pipe, which may never end; or the
            file of a data set is not the one that its recipe file describes.
        NetworkError: The download failed, or the server of a URL did.
    """
    if data in ("", SAMPLE):
        return None
    if dataset is not None:
        return _bundled(dataset) if dataset.file else fetch(dataset)
    if is_pattern(data):
        return save_list(list_shards(data))
    try:
        path = Path(data)
        # The path is written into the run's configuration.
        str(path).encode()
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise DataError(
            f"no data {data!r}",
            why="it is neither a path nor the name of a data set",
            fix="check the path",
        ) from error
    except UnicodeEncodeError as error:
        raise DataError(
            f"path {data!r} is not UTF-8", fix="rename the file, or give a link to it"
        ) from error
    except (OSError, ValueError, TypeError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise DataError(f"no data {data!r}", why=why, fix="check the path") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(
            f"data {data!r} is a device, a pipe or a socket",
            fix="write it to a file, and give that",
        )
    return path


def _bundled(dataset: DatasetInfo) -> Path:
    """Return the file beside the recipe file, which must be the one that it describes."""
    path = dataset.folder / dataset.file
    if not path.is_file():
        why = "it is missing"
    elif path.stat().st_size != dataset.bytes or digest(path) != dataset.sha256:
        why = f"expected {dataset.bytes} bytes, sha256 {dataset.sha256}"
    else:
        return path
    raise DataError(
        f"the file of the data set {dataset.name!r} is not the one that was published",
        where=str(path),
        why=why,
        fix="install the package again",
    )


def is_downloaded(dataset: DatasetInfo) -> bool:
    """Return whether :func:`locate` finds a data set without a download.

    Args:
        dataset: The data set.
    """
    return bool(dataset.file) or download_path(dataset).is_file()
