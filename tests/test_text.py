"""Text files in blocks, against Python's own reading of the whole."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from zoo.data import text
from zoo.errors import DataError

SAMPLE = "naïve 😀 text\nof — several “kinds”\n" * 3


def read(path: Path, content: bytes, block: int, monkeypatch: pytest.MonkeyPatch) -> str:
    path.write_bytes(content)
    monkeypatch.setattr(text, "BLOCK_BYTES", block)
    return "".join(text.blocks(path))


@pytest.mark.parametrize("block", [4, 5, 7, 1 << 20])
def test_blocks_are_the_text(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "text.txt"
    assert read(file, SAMPLE.encode(), block, monkeypatch) == SAMPLE
    assert read(file, b"", block, monkeypatch) == ""


@pytest.mark.parametrize("block", [4, 5, 1 << 20])
@pytest.mark.parametrize("content", ["a\r\nb\r\n\r\nc\rd\n", "\r", "\r\n", "\n\r", "ab\r"])
def test_mark_and_line_ends_are_those_of_a_text_file(
    content: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read(tmp_path / "t", b"\xef\xbb\xbf" + content.encode(), block, monkeypatch)
    assert found == (tmp_path / "t").read_text(encoding="utf-8-sig")
    assert "\r" not in found


def test_only_the_first_mark_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(tmp_path / "t", "\ufeffab\ufeffc".encode(), 4, monkeypatch) == "ab\ufeffc"


@pytest.mark.parametrize("block", [4, 5, 7, 1 << 20])
@pytest.mark.parametrize("bad", [b"\xff", b"\xe2\x28", b"\xf0\x9f\x98", b"\xc3", b"\xed\xa0\x80"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_first_bad_byte_is_named_wherever_it_stands(
    mark: bytes, bad: bytes, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for before in range(12):
        for after in ("", "é and more\n"):
            content = mark + "aé—😀bcdefghijk"[:before].encode() + bad + after.encode()
            with pytest.raises(UnicodeDecodeError) as expected:
                content.decode("utf-8")
            offset = expected.value.start
            with pytest.raises(DataError) as found:
                read(tmp_path / "t", content, block, monkeypatch)
            where = f"0x{content[offset]:02x} at offset {offset};"
            assert where in str(found.value)
            assert str(tmp_path / "t") in str(found.value)
            with pytest.raises(DataError, match=where):
                text.decode(content, "somewhere")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        list(text.blocks(tmp_path / "nothing"))


def pieces(whole: str, draw: random.Random) -> list[str]:
    cuts = sorted(draw.randrange(len(whole) + 1) for _ in range(draw.randrange(8)))
    return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


def test_cut_finds_markers_that_straddle_blocks() -> None:
    draw = random.Random(1)
    for _ in range(3000):
        whole = "".join(draw.choice("ab") for _ in range(draw.randrange(30)))
        start, end = ("".join(draw.choice("ab") for _ in range(draw.randrange(6))) for _ in "xy")
        first = whole.find(start)
        last = whole.find(end, first) if end else len(whole)
        if first < 0 or last < 0:
            with pytest.raises(DataError, match="marker not found"):
                list(text.cut(pieces(whole, draw), start, end))
        else:
            found = "".join(text.cut(pieces(whole, draw), start, end))
            assert found == whole[first:last], (whole, start, end)


def test_the_missing_marker_is_named() -> None:
    with pytest.raises(DataError, match="'Z'"):
        list(text.cut(["abc"], "a", "Z"))
    with pytest.raises(DataError, match="'Y'"):
        list(text.cut(["abc"], "Y", "Z"))


def test_cut_reads_no_further_than_the_end() -> None:
    def endless() -> Iterator[str]:
        yield "start of it, "
        yield "end of it"
        raise AssertionError("read on")

    assert "".join(text.cut(endless(), "start", "end")) == "start of it, "


def test_more_characters_than_token_ids_are_refused() -> None:
    with pytest.raises(DataError, match=r"too many distinct characters.*65,536"):
        text.token_id_table("".join(map(chr, range(0x10000, 0x20000))))


def test_token_ids_are_places_in_the_sorted_alphabet() -> None:
    characters, count = text.alphabet([SAMPLE, "zzz", ""])
    assert list(characters) == sorted(set(SAMPLE) | {"z"})
    assert count == len(SAMPLE) + 3
    token_ids = text.token_id_table(characters)[text.code_points(SAMPLE)]
    assert token_ids.tolist() == [characters.index(character) for character in SAMPLE]
    assert "".join(characters[token_id] for token_id in token_ids) == SAMPLE


def test_alphabets_may_have_thousands_of_characters() -> None:
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 5000)))
    table = text.token_id_table(characters)
    assert table[text.code_points(characters)].tolist() == list(range(5000))
    assert np.count_nonzero(table) == 4999
