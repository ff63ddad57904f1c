"""Data in several files ("shards"), here or behind a URL: listed and checked.

A listing is a small file in the cache, so that a task is given a path as for any other data.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from zoo.data.shard_files import Shard, filesystem, look, naming
from zoo.errors import DataError
from zoo.files import cache_folder, caching, has_wildcards, write_atomically

SUFFIX = ".shards"
# The number of a shard and of how many: train-00001-of-00004.parquet.
_NUMBERED = re.compile(r"-(\d{2,6}|\*)-of-(\d{2,6})(?=\D|$)")
_MOST_SHARDS = 100_000


@dataclass(frozen=True, slots=True)
class Shards:
    """A set of files, in the order of their URLs.

    Args:
        pattern: What the user gave.
        shards: The files.
    """

    pattern: str
    shards: tuple[Shard, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(shard.size for shard in self.shards)

    @property
    def name(self) -> str:
        """The last part of the pattern."""
        return self.pattern.rstrip("/").rsplit("/", 1)[-1]


def list_shards(pattern: str | Sequence[Path]) -> Shards:
    """List the files of a pattern, a URL or some paths, without reading them.

    A URL of one of a numbered set, such as ``-00000-of-00004``, stands for all four. Servers of
    HTTP list no files: of their patterns, ``-*-of-00004`` alone can be read.

    Args:
        pattern: A path or URL, perhaps with wildcards, or the paths themselves.

    Raises:
        DataError: There are none, or one of a numbered set is missing.
        NetworkError: A server does not answer, or with an error.
        UsageError: A URL is given, and fsspec or what it needs is not installed.
    """
    if not isinstance(pattern, str):
        found = [look(str(path)) for path in pattern]
        pattern = os.path.commonpath(pattern) if len(pattern) > 1 else str(pattern[0])
    elif "://" in pattern:
        found = list(_remote(pattern))
    else:
        found = [look(name) for name in _matching(pattern)]
    found.sort(key=lambda shard: shard.url)
    if not found:
        raise DataError(f"no shards {pattern!r}", why="no file matches", fix="check the pattern")
    if len(found) > _MOST_SHARDS:
        raise DataError(f"more than {_MOST_SHARDS:,} shards", where=pattern)
    _check_numbers(shard.url for shard in found)
    for shard in found:
        if not shard.size:
            raise DataError("the shard is empty", where=shard.url, fix="fetch or write it again")
    return Shards(pattern, tuple(found))


def save_list(shards: Shards) -> Path:
    """Write a listing into the cache, under the digest of its content, and return its path.

    Args:
        shards: The files.

    Raises:
        DiskError: It cannot be written.
    """
    document = {"pattern": shards.pattern, "shards": [asdict(shard) for shard in shards.shards]}
    content = json.dumps(document).encode()
    name = re.sub(r"[^\w.-]+", "-", shards.name).strip("-")[-60:]
    folder = cache_folder() / "shards"
    path = folder / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}{SUFFIX}"
    with caching("cannot keep the list of shards", folder):
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
    return path


def read_list(path: Path) -> Shards | None:
    """Return the files of a listing; None where a path is none.

    Args:
        path: What :func:`save_list` returned, or any other path.

    Raises:
        DataError: The listing is damaged.
    """
    if path.suffix != SUFFIX or not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Shards(document["pattern"], tuple(Shard(**item) for item in document["shards"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("no list of shards", where=str(path), why=str(error)) from error


def _matching(pattern: str) -> list[str]:
    path = Path(pattern).absolute()
    names = path.relative_to(path.anchor)
    return [str(found) for found in Path(path.anchor).glob(str(names)) if found.is_file()]


def _remote(pattern: str) -> Iterator[Shard]:
    with naming(pattern):
        system, path = filesystem(pattern)
        if pattern.startswith(("http://", "https://")):
            names = _all_numbers(path)
        elif has_wildcards(path):
            names = system.glob(path)
        elif system.isdir(path):
            names = [name for name in system.ls(path, detail=False) if system.isfile(name)]
        else:
            names = _all_numbers(path)
    for name in names:
        yield look(pattern if len(names) == 1 and name == path else system.unstrip_protocol(name))


def _all_numbers(path: str) -> list[str]:
    """Return all names of a numbered set of which one, or a pattern, is given."""
    found = _NUMBERED.search(path)
    if not found:
        return [path]
    width, count = len(found[2]), int(found[2])
    start, end = found.span(1)
    # The last of a set that is counted from 1 says so.
    first = int(found[1] != "*" and int(found[1]) == count)
    numbers = range(first, first + min(count, _MOST_SHARDS))
    return [f"{path[:start]}{n:0{width}}{path[end:]}" for n in numbers]


def _check_numbers(urls: Iterable[str]) -> None:
    """Check that sets that are numbered have every shard."""
    groups: dict[tuple[str, str], set[int]] = {}
    for url in urls:
        if (found := _NUMBERED.search(url)) and found[1] != "*":
            key = f"{url[: found.start(1)]}*{url[found.end(1) :]}", found[2]
            groups.setdefault(key, set()).add(int(found[1]))
    for (pattern, total), numbers in groups.items():
        wanted = range(1, int(total) + 1) if int(total) in numbers else range(int(total))
        missing = [number for number in wanted if number not in numbers]
        if missing:
            name = pattern.replace("*", f"{missing[0]:0{len(total)}}")
            more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
            raise DataError(
                f"a shard is missing: {name.rsplit('/', 1)[-1]}{more}",
                where=pattern,
                why=f"{len(numbers):,} of {int(total):,} are there",
                fix="fetch or write it again",
            )
