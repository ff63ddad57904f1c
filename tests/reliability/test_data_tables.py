"""Random tables are read back exactly or refused, and their parts never share a text."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from promises import Promise

from zoo.errors import DataError
from zoo_text.options import TextOptions
from zoo_text.tables import LabeledTexts, load_columns, load_table, looks_like_table

TABLES = Promise(
    "A random table is read back exactly, or refused in one line: no traceback, no silent guess",
    quick=60,
    full=1000,
)
many = settings(
    deadline=None,
    max_examples=TABLES.cases,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WORDS = st.sampled_from(
    ["good", "bad", "Ünïcode", "房间很小", "a,b", "c;d", "e\tf", "g|h", 'say "hi"', '"', "it's",
     "1.5", "l1\nl2", "\r\n", "🙂", "لا", "[x]", "{y}", "#", "\\", "=1", "N/A"]
)  # fmt: skip
TEXTS = st.lists(WORDS, min_size=1, max_size=8).map(" ".join)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
LABELS = st.sampled_from([("ham", "spam"), ("-1", "0", "10", "2"), ("négatif", "positif", "x y")])


@st.composite
def tables(draw: st.DrawFn, texts: st.SearchStrategy[str] = TEXTS) -> list[tuple[str, str]]:
    names = draw(LABELS)
    rows = draw(st.lists(texts, min_size=20, max_size=60))
    return [(f"{text} {n % 17}", names[n % len(names)]) for n, text in enumerate(rows)]


def written(
    rows: list[tuple[str, str]], delimiter: str = ",", quoting: Any = csv.QUOTE_MINIMAL,
    encoding: str = "utf-8", end: str = "\r\n", header: bool = True,
) -> bytes:  # fmt: skip
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator=end)
    if header:
        writer.writerow(("review", "sentiment"))
    writer.writerows(rows)
    return stream.getvalue().encode(encoding)


def pairs(data: LabeledTexts) -> list[tuple[str, str]]:
    """Return texts and labels in the order of the file, with labels as they were written."""
    if data.kind == "numbers":
        return [(t, f"{y:g}") for t, y in zip(data.texts, data.targets, strict=True)]
    assert data.kind == "classes"
    return [(t, data.names[int(y)]) for t, y in zip(data.texts, data.targets, strict=True)]


@many
@given(
    rows=tables(),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    end=st.sampled_from(["\n", "\r\n"]),
    header=st.booleans(),
)
def test_written_table_is_read_back_exactly(
    tmp_path: Path, rows: list[tuple[str, str]], delimiter: str, quoting: int, encoding: str,
    end: str, header: bool,
) -> None:  # fmt: skip
    path = tmp_path / "table.csv"
    path.write_bytes(written(rows, delimiter, quoting, encoding, end, header))
    data = load_table(path, TextOptions(), 1)
    assert pairs(data) == rows
    assert data.resolved["delimiter"] == ("tab" if delimiter == "\t" else delimiter)
    assert all(len(line) <= 80 for line in data.notes)


@many
@given(
    rows=tables(ANY_TEXT),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-16", "gb18030"]),
)
def test_any_text_is_read_back_with_options_given(
    tmp_path: Path, rows: list[tuple[str, str]], delimiter: str, encoding: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(written(rows, delimiter, encoding=encoding))
    options = TextOptions(
        text_column="review", label_column="sentiment", encoding=encoding, header="yes",
        delimiter=delimiter, quote='"',
    )  # fmt: skip
    assert pairs(load_table(path, options, 1)) == rows


@many
@given(content=st.binary(max_size=300) | ANY_TEXT.map(str.encode))
def test_any_file_is_read_or_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data"
    path.write_bytes(content)
    for read in (lambda: looks_like_table(path), lambda: load_table(path, TextOptions(), 1)):
        try:
            read()
        except DataError as error:
            assert "\n" not in str(error)


@many
@given(rows=tables(), at=st.integers(0, 2000), junk=st.binary(min_size=1, max_size=8))
def test_damaged_table_is_read_or_refused(
    tmp_path: Path, rows: list[tuple[str, str]], at: int, junk: bytes
) -> None:
    content = written(rows)
    path = tmp_path / "data.csv"
    path.write_bytes(content[:at] + junk + content[at:])
    try:
        data = load_table(path, TextOptions(), 1)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        # A row of the table may be damaged; the others are there, or it is told.
        assert len(data.texts) >= len(rows) - 1 or any("left out" in n for n in data.notes)


@many
@given(rows=tables())
def test_json_jsonl_parquet_and_columns_equal_csv(
    tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    objects = [{"review": text, "sentiment": label} for text, label in rows]
    (tmp_path / "a.csv").write_bytes(written(rows))
    (tmp_path / "a.json").write_text(json.dumps(objects))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(o) + "\n" for o in objects))
    columns = {"review": [t for t, _ in rows], "sentiment": [y for _, y in rows]}
    (tmp_path / "columns.json").write_text(json.dumps(columns))
    expected = load_table(tmp_path / "a.csv", TextOptions(), 1)
    names = ["a.json", "a.jsonl", "columns.json"]
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    parquet.write_table(arrow.table(columns), tmp_path / "a.parquet")
    found = [load_table(tmp_path / name, TextOptions(), 1) for name in [*names, "a.parquet"]]
    for data in [*found, load_columns(columns, TextOptions(), 1)]:
        assert (data.texts, data.names) == (expected.texts, expected.names)
        assert (data.targets == expected.targets).all() and (data.part == expected.part).all()


@many
@given(
    counts=st.lists(st.integers(4, 120), min_size=2, max_size=12),
    repeats=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_parts_are_complete_stratified_and_share_no_text(
    counts: list[int], repeats: int, seed: int
) -> None:
    texts = [f"text {c} {n // repeats}" for c, count in enumerate(counts) for n in range(count)]
    labels = [f"class {c}" for c, count in enumerate(counts) for _ in range(count)]
    assume(len(texts) >= 20)
    shouted = [t.upper() if n % 2 else f" {t}  " for n, t in enumerate(texts)]
    try:
        data = load_columns({"text": shouted, "label": labels}, TextOptions(), seed)
    except DataError:
        assume(False)
    assert data.texts == shouted
    where: dict[str, set[int]] = {}
    for text, part in zip(texts, data.part, strict=True):
        where.setdefault(text, set()).add(int(part))
    assert all(len(parts) == 1 for parts in where.values())
    assert (np.bincount(data.part, minlength=3) > 0).all()
    for name, count in Counter(labels).items():
        mine = data.part[[label == name for label in labels]]
        assert (mine == 0).any()
        # A share of a class may be off by a group and by rounding.
        assert abs((mine == 2).sum() - 0.2 * count) <= repeats + 1


@many
@given(
    sets=st.lists(st.sets(st.sampled_from("abcdef"), max_size=3), min_size=40, max_size=80),
    separator=st.sampled_from(["|", ";", ",", "list", "python"]),
)
def test_several_labels_a_text_are_found(sets: list[set[str]], separator: str) -> None:
    rows = [sorted(labels) for labels in sets] + [["a", "b"], ["b", "c"], ["a", "c"], ["a"]] * 3
    texts = [f"text number {n}" for n in range(len(rows))]
    if separator == "list":
        cells: list[object] = list(rows)
    else:
        cells = [str(r) if separator == "python" else separator.join(r) for r in rows]
    data = load_columns({"text": texts, "tags": cells}, TextOptions(), 1)
    assert data.kind == "multilabel"
    number = {text: n for n, text in enumerate(texts)}
    for text, target in zip(data.texts, data.targets, strict=True):
        assert [name for name, has in zip(data.names, target, strict=True) if has] == rows[
            number[text]
        ]
    assert data.targets[data.part == 0].any(axis=0).all()
