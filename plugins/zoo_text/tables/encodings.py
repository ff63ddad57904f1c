"""Encodings of text files: detected, said, and overridable."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from zoo.errors import DataError
from zoo_text.tables.streams import head, looks_binary, opened

_BLOCK = 1 << 20
_SAMPLE = 1 << 18
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What charset-normalizer may choose from: the encodings that tables are found in.
_CANDIDATES = [
    "cp1252", "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1251", "koi8_r", "cp1250",
    "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874",
]  # fmt: skip
_BEYOND = re.compile(r"[^\x00-\x7f]")
_HIRAGANA = re.compile("[\u3041-\u3096]")
# A letter of Western Europe beside an ASCII letter, or a sign that stands for itself.
_WESTERN = re.compile(
    r"(?<=[A-Za-z])[ßàâäáãåæçèéêëìíîïñòóôõöøùúûüÿœ]|[àâäáãåæçèéêëìíîïñòóôõöøùúûüÀÂÄÉÈÊÖÜÅØÇÑœ]"
    r"(?=[A-Za-z])|(?<=\s)[àéèêñôé](?=\s)|[\u2018-\u201d\u2013\u2014…€£«»°¿¡](?![À-ÿ])"
)
_CHOOSE = "give it with --set encoding=..., or save the file as UTF-8"


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding, and how bytes that are not in it are treated.

    Args:
        name: As Python names it.
        errors: ``strict`` or ``replace``.
        damaged: How many places are not in this encoding and are replaced.
        sure: Whether it is certain, and not guessed from the frequency of letters.
    """

    name: str
    errors: str = "strict"
    damaged: int = 0
    sure: bool = True

    def __str__(self) -> str:
        known = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-32": "UTF-32"}
        return known.get(self.name, self.name) + ("" if self.sure else " (guessed)")


def detect(path: Path, given: str) -> Encoding:
    """Find the encoding of a text file.

    Args:
        path: The file, compressed or not.
        given: What the user says; empty: it is detected.

    Raises:
        DataError: The file is no text, its encoding cannot be told, or there is no such encoding.
    """
    if given:
        return Encoding(_known(given, path))
    start = head(path, 1 << 16)
    for bom, name in _BOMS:
        if start.startswith(bom):
            return Encoding(name)
    if name := _wide(start):
        return Encoding(name)
    if looks_binary(start):
        raise _binary(path)
    return _utf8_or_older(path)


@contextmanager
def text_of(path: Path, encoding: Encoding) -> Iterator[TextIO]:
    """Open a file as text, line ends untouched.

    Raises:
        DataError: The content is not in the encoding, or the file cannot be read.
    """
    with opened(path) as stream:
        text = io.TextIOWrapper(stream, encoding.name, encoding.errors, newline="")
        try:
            yield text
        except UnicodeError as error:
            raise DataError(
                f"the content is not {encoding}", where=str(path), why=str(error), fix=_CHOOSE
            ) from error
        finally:
            text.detach()


def _known(name: str, path: Path) -> str:
    try:
        b"x".decode(name, "replace")
        return codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise DataError(
            f"there is no encoding {name!r}",
            where=str(path),
            fix="give one such as utf-8, cp1252, gb18030 or shift_jis",
        ) from error


def _binary(path: Path) -> DataError:
    return DataError(
        "this is a binary file", where=str(path), fix="give a table: CSV, TSV, JSON or Parquet"
    )


def _wide(start: bytes) -> str:
    """Return UTF-16 without a mark, which has zeros at the even or the odd bytes."""
    if len(start) < 4:
        return ""
    even, odd = start[0::2], start[1::2]
    zeros = even.count(0) / len(even), odd.count(0) / len(odd)
    if zeros[1] > 0.3 and zeros[0] < 0.05:
        return "utf-16-le"
    if zeros[0] > 0.3 and zeros[1] < 0.05:
        return "utf-16-be"
    return ""


def _utf8_or_older(path: Path) -> Encoding:
    replaced = codecs.getincrementaldecoder("utf-8")("replace")
    valid = invalid = 0
    sample = bytearray()
    with opened(path) as stream:
        while True:
            block = stream.read(_BLOCK)
            if block.count(0) * 50 > len(block):
                # The rest of a file with holes, or one that only begins as a text.
                raise _binary(path)
            text = replaced.decode(block, final=not block)
            if not text.isascii():
                marks = text.count("\ufffd") - block.count("\ufffd".encode())
                invalid += max(marks, 0)
                valid += len(text) - len(text.encode("ascii", "ignore")) - max(marks, 0)
                if len(sample) < _SAMPLE:
                    lines = block.splitlines(keepends=True)
                    sample += b"".join(line for line in lines if not line.isascii())
            if not block:
                break
    if not invalid:
        return Encoding("utf-8")
    # A few damaged places in what is UTF-8 otherwise: a letter of an older encoding is nearly
    # never valid UTF-8.
    if invalid * 10 <= valid:
        return Encoding("utf-8", "replace", invalid)
    return _guess(path, bytes(sample[:_SAMPLE]))


def _guess(path: Path, sample: bytes) -> Encoding:
    """Guess an encoding older than UTF-8 from lines that have letters beyond ASCII.

    charset-normalizer takes short Western and Japanese texts for others, so that these are tried
    first: by their hiragana, and by words that are ASCII for the most part.
    """
    import charset_normalizer

    # The sample may end within a character.
    sample = sample[: sample.rfind(b"\n") + 1] or sample
    names = [name for name in ("cp932", "euc_jp") if _share(_HIRAGANA, sample, name) > 0.15]
    if _share(_WESTERN, sample, "cp1252") > 0.8:
        names.append("cp1252")
    best = charset_normalizer.from_bytes(sample, cp_isolation=_CANDIDATES).best()
    if best:
        names.append(best.encoding)
    for name in names:
        if _decodes(path, name):
            return Encoding(name, sure=False)
    raise DataError("the encoding cannot be told", where=str(path), fix=_CHOOSE)


def _share(pattern: re.Pattern[str], sample: bytes, encoding: str) -> float:
    """Return the share of the characters beyond ASCII that match a pattern."""
    try:
        text = sample.decode(encoding)
    except UnicodeError:
        return 0.0
    found = sum(len(match.encode("utf-32-le")) // 4 for match in pattern.findall(text))
    return found / (len(_BEYOND.findall(text)) or 1)


def _decodes(path: Path, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    with opened(path) as stream:
        try:
            while block := stream.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeError:
            return False
    return True
