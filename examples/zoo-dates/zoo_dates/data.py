"""Dates as people write them, and as ISO 8601 does."""

from __future__ import annotations

import datetime
import random
from pathlib import Path

from zoo.data.text import blocks
from zoo.errors import DataError
from zoo.files import digest, digest_text

DATES = 20_000
SEED = 15
# A hundred years, so that two digits are enough to name one.
FIRST = datetime.date(1950, 1, 1)
DAYS = 36_525

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth",
    "eighteenth", "nineteenth", "twentieth", "twenty-first", "twenty-second", "twenty-third",
    "twenty-fourth", "twenty-fifth", "twenty-sixth", "twenty-seventh", "twenty-eighth",
    "twenty-ninth", "thirtieth", "thirty-first",
)  # fmt: skip

Pair = tuple[str, str]
"""A written date and the same date in ISO 8601."""


def load(path: Path | None) -> tuple[list[Pair], str]:
    """Return the pairs of a file, or of the sample, and the sha256 of their source.

    Raises:
        DataError: The file cannot be read, or does not have the form that :func:`sample` returns.
    """
    text = sample() if path is None else "".join(blocks(path))
    pairs = [
        _pair(line, f"line {number} of {path}") for number, line in enumerate(text.splitlines(), 1)
    ]
    return pairs, digest_text(text) if path is None else digest(path)


def _pair(line: str, where: str) -> Pair:
    written, _, iso = line.partition("\t")
    try:
        # Parsed and formatted, because Python also accepts 19860303.
        return written, datetime.date.fromisoformat(iso).isoformat()
    except ValueError as error:
        raise DataError(
            f"no date {iso!r}", where=where, why=str(error), fix="write WRITTEN<tab>YYYY-MM-DD"
        ) from error


def sample() -> str:
    """Return the sample, the same each time: a pair a line, with a tab between."""
    draw = random.Random(SEED)
    pairs: dict[str, str] = {}
    while len(pairs) < DATES:
        date = FIRST + datetime.timedelta(draw.randrange(DAYS))
        pairs[_written(draw, date)] = date.isoformat()
    return "".join(f"{written}\t{iso}\n" for written, iso in pairs.items())


def _written(draw: random.Random, date: datetime.date) -> str:
    month = _MONTHS[date.month - 1]
    if draw.random() < 0.4:
        month = month[:3]
    # 1st, 2nd, 3rd, 4th ... 21st; but 11th, 12th and 13th.
    ending = "th" if 11 <= date.day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(date.day % 10, "th")
    day = draw.choice((f"{date.day}", f"{date.day}{ending}"))
    spelled = _ORDINALS[date.day - 1]
    year = f"{date.year}" if draw.random() < 0.7 else f"{date.year % 100:02}"
    return draw.choice(
        (
            f"{day} {month} {year}",
            f"{month} {day}, {year}",
            f"the {spelled} of {month} {year}",
            f"{month} the {spelled}, {year}",
            f"{date.day}.{date.month}.{year}",
        )
    )
