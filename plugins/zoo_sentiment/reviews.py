"""Where reviews come from: the IMDb archive, the folder that it unpacks to, or the sample."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.data.ragged import IntArray
from zoo.data.text import decode
from zoo.errors import DataError
from zoo_text.archives import read_archive
from zoo_text.sample import sample
from zoo_text.tables.streams import MAX_TEXT, MAX_TEXTS, read_bytes

# No review has a number of ten digits.
_REVIEW = re.compile(r"(?:.*/)?(train|test)/(pos|neg)/(\d{1,9})_\d+\.txt")
_FILMS = re.compile(r"(?:.*/)?(train|test)/urls_(pos|neg)\.txt")
_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".tar.xz")


@dataclass(frozen=True, slots=True)
class Review:
    """A labelled text.

    Args:
        text: As written.
        label: Its label.
        part: ``train`` or ``test``; empty where the data has no such split.
        number: Its number in the data.
    """

    text: str
    label: str
    part: str
    number: int


@dataclass(frozen=True, slots=True)
class Reviews:
    """All reviews of a source; ``films[part, label][number]`` names a review's film, if known."""

    reviews: list[Review]
    films: dict[tuple[str, str], list[str]]

    def film_indices(self) -> IntArray:
        """Return the index of the film of each review, of shape (M,); -1 where it is unknown."""
        film_index: defaultdict[str, int] = defaultdict()
        film_index.default_factory = film_index.__len__
        indices = np.full(len(self.reviews), -1)
        for row, review in enumerate(self.reviews):
            listed = self.films.get((review.part, review.label), [])
            if review.number < len(listed):
                indices[row] = film_index[listed[review.number]]
        return indices


def read(path: Path) -> Reviews:
    """Read the IMDb archive (as a stream, never unpacked) or the folder that it unpacks to.

    Raises:
        DataError: It is neither, or is damaged; the message names the file.
    """
    if path.is_dir():
        return _imdb(path, ((name, read_bytes(file)) for name, file in _folder(path)))
    return _imdb(path, read_archive(path, _is_read))


def _imdb(path: Path, files: Iterator[tuple[str, bytes]]) -> Reviews:
    reviews: dict[tuple[str, str, int], Review] = {}
    films: dict[tuple[str, str], list[str]] = {}
    total = 0
    for name, content in files:
        total += len(content)
        if total > MAX_TEXTS:
            raise DataError("reviews are longer than 4 GiB together", where=str(path))
        text = decode(content, f"{path}, {name}")
        if match := _REVIEW.fullmatch(name):
            part, label, number = match[1], match[2], int(match[3])
            if (part, label, number) in reviews:
                raise DataError("there are two reviews of one number", where=f"{path}, {name}")
            reviews[part, label, number] = Review(text, label, part, number)
        elif match := _FILMS.fullmatch(name):
            films[match[1], match[2]] = text.split()
    if not reviews:
        raise DataError(
            "no reviews",
            where=str(path),
            why="it has no train/pos, train/neg, test/pos or test/neg",
            fix="give the archive as it was published, or the folder that it unpacks to",
        )
    # An archive and its folder list files in different orders.
    return Reviews([reviews[key] for key in sorted(reviews)], films)


def _is_read(name: str) -> bool:
    return bool(_REVIEW.fullmatch(name) or _FILMS.fullmatch(name))


def _folder(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of the files that are read."""
    try:
        # The folder may be aclImdb, or the one that contains it.
        inside = [path, *sorted(child for child in path.iterdir() if child.is_dir())]
        roots = [root for root in inside if (root / "train").is_dir() or (root / "test").is_dir()]
        if len(roots) > 1:
            raise DataError(
                "more than one data set",
                where=str(path),
                why=f"{' and '.join(root.name for root in roots)} both have a train or a test part",
                fix="give one of them",
            )
        for root in roots:
            for file in sorted(root.rglob("*.txt")):
                name = file.relative_to(root).as_posix()
                if not _is_read(name):
                    continue
                if file.stat().st_size > MAX_TEXT:
                    raise DataError("text is longer than 64 MiB", where=str(file))
                yield name, file
    except OSError as error:
        raise DataError("cannot read the folder", where=str(path), why=str(error)) from error


def check_sizes(path: Path) -> None:
    """Refuse a folder with a file that is too large, before the long time of reading them all.

    Raises:
        DataError: A review has more than 64 MiB, or the folder cannot be read.
    """
    if path.is_dir():
        for _ in _folder(path):
            pass


def sample_reviews() -> Reviews:
    """Return the sample."""
    reviews = [
        Review(text, label, "test" if number % 5 == 0 else "train", number)
        for number, (text, label) in enumerate(sample())
    ]
    return Reviews(reviews, {})


def may_be_imdb(path: Path) -> bool:
    """Return whether a path is an archive, or a folder with a review where IMDb has its own."""
    if path.is_dir():
        return any(_REVIEW.fullmatch(name) for name, _ in _folder(path))
    return path.name.lower().endswith(_ARCHIVES)
