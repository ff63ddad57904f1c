"""Files of labelled texts: what they are taken for, what is left out, what is refused."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REAL_DATA

from zoo.errors import DataError
from zoo_text.options import TextOptions
from zoo_text.sources import read_again
from zoo_text.tables import LabeledTexts, load_columns, load_table, looks_like_table
from zoo_text.tables.header import unique_names
from zoo_text.tables.looks import read_table
from zoo_text.tables.table import Table

Load = Callable[..., LabeledTexts]
WORDS = ["the", "a", "film", "was", "good", "bad", "very", "plot", "acting", "dull", "bright"]


def sentences(count: int, words: int = 8) -> list[str]:
    draw = random.Random(count)
    return [" ".join([*draw.choices(WORDS, k=words), str(n)]) for n in range(count)]


ROWS = [(text, "pos" if n % 3 else "neg") for n, text in enumerate(sentences(60))]


def table(
    rows: Iterable[Iterable[object]] = ROWS, names: Iterable[str] | None = ("text", "label"),
    **dialect: Any,
) -> str:  # fmt: skip
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, **dialect)
    if names:
        writer.writerow(names)
    writer.writerows(rows)
    return stream.getvalue()


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a file and load it: ``load(content, name, kind=..., option=...)``."""

    def write_and_load(
        content: str | bytes, name: str = "data.csv", kind: str = "auto",
        names: list[str] | None = None, **options: Any,
    ) -> LabeledTexts:  # fmt: skip
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        data = load_table(path, TextOptions(**options), 1, kind=kind, names=names)
        assert looks_like_table(path)
        assert all(len(line) <= 80 for line in data.notes)
        return data

    return write_and_load


def pairs(data: LabeledTexts) -> list[tuple[str, str]]:
    return [(t, data.names[int(y)]) for t, y in zip(data.texts, data.targets, strict=True)]


# Files


@pytest.mark.parametrize(
    ("encoding", "extra"),
    [
        ("utf-8-sig", "é"), ("utf-16", "é"), ("utf-16-le", ""), ("cp1252", "café déjà vu £3"),
        ("cp1250", "Zażółć gęślą jaźń"), ("cp1251", "Отличный фильм, очень понравился"),
        ("gb18030", "这家酒店很好。服务不错"), ("big5", "這家酒店很好。服務不錯"),
        ("cp932", "このホテルはとても良いです"), ("euc_jp", "このホテルはとても良いです"),
        ("cp949", "정말 좋은 영화였습니다"), ("cp1255", "המלון היה נהדר והאוכל טעים"),
    ],
)  # fmt: skip
def test_encoding_is_detected_and_said(load: Load, encoding: str, extra: str) -> None:
    rows = [(f"{extra} {text}", label) for text, label in ROWS]
    data = load(table(rows).encode(encoding))
    assert pairs(data) == rows
    assert data.resolved["encoding"] == encoding.replace("-sig", "") or encoding == "utf-8-sig"


def test_few_damaged_bytes_are_replaced_and_told(load: Load) -> None:
    content = table([(f"日本語 {text}", label) for text, label in ROWS]).encode()
    data = load(content.replace("日本語 ".encode(), b"\xff ", 1))
    assert data.texts[0].startswith("\ufffd ")
    assert "note     1 places that are not UTF-8 were replaced" in data.notes


def test_quotes_that_are_no_quotes_are_content(load: Load) -> None:
    rows = [
        (label, f'"{text}' if n % 2 else f'{text} "ok"') for n, (text, label) in enumerate(ROWS)
    ]
    data = load("".join(f"{label}\t{text}\n" for label, text in rows), "SMSSpamCollection")
    assert data.texts == [text for _, text in rows]
    assert data.resolved["quote"] == "none"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('"he said \\"{}, ok\\" now",{}', 'he said "{}, ok" now'),
        ('"{}, yes", {}', "{}, yes"),
        ('"{}\n, and ""more""",{}', '{}\n, and "more"'),
    ],
)
def test_quoting_is_detected(load: Load, line: str, text: str) -> None:
    content = "text,label\n" + "".join(f"{line.format(*row)}\n" for row in ROWS)
    assert load(content).texts == [text.format(row[0]) for row in ROWS]


def test_line_numbers_count_lines_within_quotes(load: Load) -> None:
    rows = [("one\ntwo\r\nthree " + text, label) for text, label in ROWS]
    data = load(table(rows))
    assert data.lines[:3] == [2, 5, 8]
    assert data.texts == [text for text, _ in rows]


def test_cells_may_be_long_and_the_limit_of_csv_stays(load: Load) -> None:
    limit = csv.field_size_limit()
    rows = [(text + ", so" * (n % 5), label) for n, (text, label) in enumerate(ROWS)]
    # The second one is in the lines by which the delimiter is found.
    data = load(table([*rows, ("word, " * 30_000, "neg"), ("word " * 100_000, "pos")]), "data")
    assert sorted(map(len, data.texts))[-2:] == [180_000, 500_000]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("names", [None, ("text", "label"), ("v1", "v2"), ("Text", "y")])
def test_first_row_is_a_header_only_if_it_names_columns(load: Load, names: Any) -> None:
    data = load(table(ROWS, names))
    assert pairs(data) == ROWS
    assert data.resolved["header"] == ("yes" if names else "no")


def test_sep_line_of_excel_names_the_delimiter(load: Load) -> None:
    assert pairs(load("sep=;\r\n" + table(delimiter=";"))) == ROWS


def test_many_rows_with_an_open_quote_are_read_in_linear_time(load: Load) -> None:
    content = "text,label\n" + "".join(f'"{text} {n},{y}\n' for n in range(300) for text, y in ROWS)
    assert len(load(content).texts) == 300 * len(ROWS)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, "zstd"])
def test_compressed_table_equals_plain_one_and_a_cut_one_is_refused(
    load: Load, compress: Any
) -> None:
    if compress == "zstd":
        compress = pytest.importorskip("zstandard").compress
    content = compress(table().encode())
    assert pairs(load(content, "data.csv.x")) == ROWS
    with pytest.raises(DataError, match="damaged or cut short"):
        load(content[:-20], "cut")


OBJECTS = [{"text": text, "label": label == "pos"} for text, label in ROWS]


@pytest.mark.parametrize(
    "document",
    [
        OBJECTS,
        {"version": 1, "data": OBJECTS},
        {key: [row[key] for row in OBJECTS] for key in ("text", "label")},
        {key: {str(n): row[key] for n, row in enumerate(OBJECTS)} for key in ("text", "label")},
        {"columns": ["text", "label"], "index": [], "data": [[*row.values()] for row in OBJECTS]},
        [[*row.values()] for row in OBJECTS],
    ],
)
def test_json_of_any_shape_is_a_table(load: Load, document: object) -> None:
    data = load(json.dumps(document, indent=1), "data.json")
    assert pairs(data) == [(text, "true" if y == "pos" else "false") for text, y in ROWS]


def test_lists_in_json_that_are_named_as_parts_are_parts(load: Load) -> None:
    data = load(json.dumps({"train": OBJECTS[:40], "dev": OBJECTS[40:50], "test": OBJECTS[50:]}))
    assert np.bincount(data.part).tolist() == [40, 10, 10]


def test_rows_of_named_columns_in_json_that_are_no_lists_are_left_out(load: Load) -> None:
    names, rows = ["text", "label"], [list(row) for row in ROWS]
    data = load(json.dumps({"columns": names, "data": [*rows, 1]}), "data.json")
    assert pairs(data) == ROWS
    assert "left out 1 row that could not be read (row 61)" in data.notes
    for data_rows in ([1, 2], [*rows, *[1] * 9]):
        with pytest.raises(DataError):
            load(json.dumps({"columns": names, "data": data_rows}), "data.json")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"), (b" \n\n", "empty"), (b"%PDF-1.7", "PDF"), (b"\xd0\xcf\x11\xe0", "Excel"),
        (b"PK\x03\x04..[Content_Types].xml", "Excel"), (b"PK\x03\x04..a.csv", "ZIP"),
        (bytes(range(256)) * 8, "binary"), (b"text,label\n", "no rows"), (b"[" * 100_000, "JSON"),
        (b'{"a": 1}', "no table"), (b'[{"text": "a"', "not JSON"), (b"PAR1abc", "Parquet"),
        (b"text\na b\nc d\n", "no columns"), (b"," * 5000 + b"\n", "more than 1,000 columns"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_with_advice(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / ("data.json" if content[:1] in (b"{", b"[") else "data")
    path.write_bytes(content)
    with pytest.raises(DataError, match=what) as refused:
        load_table(path, TextOptions(), 1)
    assert "; " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_file_and_archive_and_prose_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        looks_like_table(tmp_path / "none.csv")
    (tmp_path / "novel.txt").write_text("It was, all in all, a day\nlike others; or so\n" * 90)
    subprocess.run(["tar", "-czf", "a.tgz", "novel.txt"], cwd=tmp_path, check=True)
    assert not looks_like_table(tmp_path / "novel.txt")
    assert not looks_like_table(tmp_path / "a.tgz")
    assert not looks_like_table(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(table())
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        load_table(path, TextOptions(), 1)


def test_folder_of_folders_has_labels_and_parts(tmp_path: Path) -> None:
    for part, count in (("train", 20), ("test", 5)):
        for label in ("2", "10", "unsup"):
            folder = tmp_path / "root" / part / label
            folder.mkdir(parents=True)
            for n, text in enumerate(sentences(count)):
                (folder / f"{n}.txt").write_text(f"{label} {part} {text}\n")
    data = load_table(tmp_path, TextOptions(), 1)
    assert looks_like_table(tmp_path)
    assert data.names == ["2", "10"]
    assert np.bincount(data.part).tolist() == [36, 4, 10]
    assert all(text.startswith(f"{label} ") for text, label in pairs(data))


def test_folder_with_a_table_for_each_part(tmp_path: Path) -> None:
    for name, start in (("train", 0), ("valid", 40), ("test", 50)):
        (tmp_path / f"{name}.csv").write_text(table(ROWS[start : start + 10 + 30 * (not start)]))
    assert np.bincount(load_table(tmp_path, TextOptions(), 1).part).tolist() == [40, 10, 10]


def test_arrow_files_and_hugging_face_folders(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    feather = pytest.importorskip("pyarrow.feather")
    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    columns = {"sentence": [t for t, _ in ROWS], "label": [int(y == "pos") for _, y in ROWS]}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    data = pa.table(columns).replace_schema_metadata(metadata)
    feather.write_feather(data, str(tmp_path / "a.feather"))
    for part in ("train", "test"):
        folder = tmp_path / "saved" / part
        folder.mkdir(parents=True)
        (folder / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
        with pa.ipc.new_stream(str(folder / "data.arrow"), data.schema) as writer:
            writer.write_table(data)
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert pairs(load_table(tmp_path / "a.feather", TextOptions(), 1)) == ROWS
    assert pairs(load_table(tmp_path / "saved" / "test", TextOptions(), 1)) == ROWS
    both = load_table(tmp_path / "saved", TextOptions(duplicates="keep"), 1)
    assert np.bincount(both.part).tolist() == [54, 6, 60]
    assert looks_like_table(tmp_path / "saved")


def test_no_torch_is_imported() -> None:
    code = "import zoo_text.tables, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Columns


@pytest.mark.parametrize(
    ("names", "text", "label"),
    [
        (
            ("", "review_text", "airline_sentiment", "date", "lang"),
            "review_text",
            "airline_sentiment",
        ),
        (("id", "Описание отзыв", "Оценка", "x", "y.1"), "Описание отзыв", "Оценка"),
        (("n", "内容", "标签", "t", "u"), "内容", "标签"),
        (("number", "headline", "Class Index", "when", "to"), "headline", "Class Index"),
    ],
)
def test_columns_are_found_by_name_and_content(
    load: Load, names: tuple[str, ...], text: str, label: str
) -> None:
    rows = [
        (n, t, y, f"2020-01-{n % 28 + 1:02}", "en") for n, (t, y) in enumerate(ROWS)
    ]  # fmt: skip
    data = load(table(rows, names))
    assert pairs(data) == ROWS
    assert (data.resolved["text_column"], data.resolved["label_column"]) == (text, label)


def test_other_columns_that_might_be_meant_are_told(load: Load) -> None:
    rows = [(t, t[:30], y, "ab"[n % 2]) for n, (t, y) in enumerate(ROWS)]
    notes = " ".join(load(table(rows, ("comment_text", "title", "toxic", "threat"))).notes)
    assert "texts might also be in 'title' (--set text_column=...)" in notes
    assert "labels might also be in 'threat' (--set label_column=...)" in notes


def test_number_and_name_of_a_class_are_one_label(load: Load) -> None:
    rows = [(t, int(y == "pos"), y) for t, y in ROWS]
    assert pairs(load(table(rows, ("text", "label", "label_text")))) == ROWS


@pytest.mark.parametrize(
    ("names", "rows", "what"),
    [
        (("a", "b", "label"), [(t, t[::-1], y) for t, y in ROWS], "texts may be in 'a', 'b'"),
        (("text", "sentiment", "topic"), [(t, y, y[::-1] + "ab"[n % 2]) for n, (t, y) in
            enumerate(ROWS)], "labels may be in 'sentiment', 'topic'"),
        (("text", "id"), [(t, n) for n, (t, _) in enumerate(ROWS)], "no column of labels"),
        (("text", "label"), [(t, "same") for t, _ in ROWS], "all labels are 'same'"),
    ],
)  # fmt: skip
def test_columns_are_never_guessed_silently(load: Load, names: Any, rows: Any, what: str) -> None:
    with pytest.raises(DataError, match=f"{what}.*--set label_column="):
        load(table(rows, names))


def test_named_columns_are_used_and_unknown_ones_refused(load: Load) -> None:
    content = table([(t, t[::-1], y) for t, y in ROWS], ("a", "b", "label"))
    assert load(content, text_column="b").texts[0] == ROWS[0][0][::-1]
    assert load(content, text_column="2", label_column="3").resolved["text_column"] == "b"
    with pytest.raises(DataError, match=r"no column 'lable' .did you mean 'label'"):
        load(content, label_column="lable")


def test_columns_that_another_table_lacks_are_looked_for_anew(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text(table([(t[::-1], t, y) for t, y in ROWS], ("body", "review", "stars")))
    options = TextOptions(text_column="body", label_column="label")
    with pytest.raises(DataError, match="no column 'label'"):
        load_table(path, options, 1)
    data = load_table(path, options, 1, columns_may_differ=True)
    assert (data.resolved["text_column"], data.resolved["label_column"]) == ("body", "stars")
    data = load_table(path, TextOptions(text_column="2"), 1, columns_may_differ=True)
    assert data.resolved["text_column"] == "review"


# Labels


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        (["10", "2", "1"], "classes", ["1", "2", "10"]),
        (["-1", "0", "1"], "classes", ["-1", "0", "1"]),
        (["v10", "v9", "V1"], "classes", ["V1", "v9", "v10"]),
        ([False, True], "classes", ["false", "true"]),
        ([1.0, 2.0], "classes", ["1", "2"]),
        (["bad|long", "bad", "long", ""], "multilabel", ["bad", "long"]),
        (["a; b", "b; c", "c; a"], "multilabel", ["a", "b", "c"]),
        (["a, b", "a", "b"], "multilabel", ["a", "b"]),
        ([["a", "b"], ["a"], []], "multilabel", ["a", "b"]),
        (["['a', 'b']", "['b']", "[]"], "multilabel", ["a", "b"]),
        (["Food, drink", "Sports, outdoor"], "classes", ["Food, drink", "Sports, outdoor"]),
        ([["a"], ["b"]], "classes", ["a", "b"]),
    ],
)
def test_kind_of_labels_is_found_by_looking(
    labels: list[object], kind: str, names: list[str]
) -> None:
    columns = {"text": list[object](sentences(60)), "label": labels * (60 // len(labels))}
    data = load_columns(columns, TextOptions(), 1)
    assert (data.kind, data.names) == (kind, names)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{:,.1f}", r"look like numbers .*: such as '1,0\d\d\.2'"),
        ("{:.2f} €", "look like numbers .* €'; write them without units"),
        ("$ {:.0f}", r"look like numbers .*: such as '\$ "),
        ("{:.1f}%", "look like numbers .* --set labels=classes"),
        ("{:.0f} kg", "look like numbers"),
    ],
)
def test_numbers_with_units_or_separators_of_thousands_are_no_classes(
    written: str, told: str
) -> None:
    # As often as classes are.
    labels = [written.format(1000.2 + n % 40) for n in range(200)]
    columns = {"text": list(sentences(200)), "price": labels}
    with pytest.raises(DataError, match=f"labels in column 'price' {told}"):
        load_columns(columns, TextOptions(), 1)
    named = load_columns(columns, TextOptions(labels="classes"), 1, kind="classes")
    assert len(named.names) == 40


def test_numbers_but_for_a_few_are_no_classes_and_codes_are() -> None:
    labels = [f"{n % 40}.5" for n in range(200)]
    labels[7] = "12 €"
    columns = {"text": list(sentences(200)), "price": labels}
    with pytest.raises(
        DataError, match=r"199 of 200 labels in column 'price' are numbers .* '12 €'"
    ):
        load_columns(columns, TextOptions(), 1)
    for codes in ("A{}", "{}th", "{}a", "1.{}.2", "{}-b", "id {}", "#{}", "{})"):
        labels = [codes.format(n % 40) for n in range(200)]
        data = load_columns({"text": list(sentences(200)), "label": labels}, TextOptions(), 1)
        assert (data.kind, len(data.names)) == ("classes", 40)
    # Whole numbers among which another code is, lists of a single one, and days.
    named: list[list[object]] = [[f"{n % 40}" if n % 40 else "38A" for n in range(200)]]
    named += [[[n % 40] for n in range(200)], [f"{n % 20 + 1} {'JF'[n % 2]}an" for n in range(200)]]
    for several in named:
        data = load_columns({"text": list(sentences(200)), "label": several}, TextOptions(), 1)
        assert data.kind == "classes"


def test_of_several_columns_the_one_with_the_labels_of_the_training_is_taken(load: Load) -> None:
    rows = [("text,source,truth", *(f"a b {n},{'uv'[n % 2]},{'yx'[n % 2]}" for n in range(20)))]
    content = "\n".join(rows[0])
    with pytest.raises(DataError, match="labels may be in 'source', 'truth'"):
        load(content)
    data = load(content, kind="classes", names=["x", "y"])
    assert pairs(data)[:2] == [("a b 0", "y"), ("a b 1", "x")]
    # A column that is named as labels are is theirs, whatever it has.
    content = content.replace("source,truth", "label,truth")
    with pytest.raises(DataError, match="did not have the label 'u'"):
        load(content, kind="classes", names=["x", "y"])


def test_an_evaluation_has_every_line_on_its_labels(tmp_path: Path) -> None:
    names = [f"a rather long name of a class, number {n}" for n in range(4)]
    path = tmp_path / "long.csv"
    path.write_text(table([(f"{text} {n}", names[n % 4]) for n, text in enumerate(sentences(80))]))
    read = read_again(
        load_table, path, TextOptions(), 1, kind="classes", names=names, digest="", is_source=False
    )
    told = load_table(path, TextOptions(), 1)
    (first,) = (n for n, line in enumerate(told.notes) if line.startswith("parts"))
    assert read.notes[:first] == told.notes[:first]
    assert not any("train" in line for line in read.notes)


def test_columns_of_a_data_frame_are_read(load: Load) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"text": [t for t, _ in ROWS], "y": [y == "pos" for _, y in ROWS]})
    frame.loc[3, "text"] = None
    frame["y"] = frame["y"].astype("boolean")
    frame.loc[4, "y"] = pd.NA
    data = load_columns({name: frame[name] for name in frame}, TextOptions(), 1)
    assert pairs(data) == [
        (t, "true" if y == "pos" else "false") for n, (t, y) in enumerate(ROWS) if n not in (3, 4)
    ]


def test_numbers_are_no_classes(load: Load) -> None:
    draw = random.Random(1)
    for name, values in (
        ("price", [draw.randrange(10**6) for _ in ROWS]),
        ("score", [round(draw.gauss(0, 1), 2) for _ in ROWS]),
        ("age", [draw.randrange(18, 90) for _ in ROWS]),
    ):
        data = load(table(zip((t for t, _ in ROWS), values, strict=True), ("text", name)))
        assert data.kind == "numbers"
        assert data.targets.tolist() == values
    comma = [(t, f"{n / 7:.2f}".replace(".", ",")) for n, (t, _) in enumerate(ROWS)]
    assert load(table(comma, ("text", "x"), delimiter=";")).targets[7] == 1.0


@pytest.mark.parametrize("missing", ["NA", "-", "?", "None"])
@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [("price", "numbers", range(0, 6000, 100)), ("stars", "classes", [1, 2, 3, 4, 5] * 12)],
)
def test_missing_numbers_are_no_label(
    name: str, kind: str, values: Iterable[int], missing: str, load: Load
) -> None:
    rows = [(text, str(value)) for (text, _), value in zip(ROWS, values, strict=True)]
    content = table([*rows, ("no label", missing)], ("text", name))
    for data in (load(content), load(content, kind=kind)):
        assert (data.kind, len(data.texts)) == (kind, 60)
        assert data.names == (list("12345") if kind == "classes" else [])
        assert "left out 1 row without a label (line 62)" in data.notes
    if kind == "classes":  # As a class that was learned it is a label.
        assert len(load(content, kind=kind, names=[*"12345", missing]).texts) == 61


def test_beside_words_and_a_single_number_na_is_a_class(load: Load) -> None:
    for other in ("word", "1"):
        rows = [(text, "NA" if n % 2 else other) for n, (text, _) in enumerate(ROWS)]
        assert load(table(rows)).names == sorted(["NA", other])


def test_codes_of_classes_without_a_gap_are_classes(load: Load) -> None:
    rows = [(text, n % 77) for n, text in enumerate(sentences(800))]
    assert len(load(table(rows, ("text", "label"))).names) == 77
    assert load(table(rows, ("text", "label")), kind="numbers").kind == "numbers"


def test_too_many_classes_are_refused(load: Load) -> None:
    for count in (400, 100_000):
        rows = [(text, f"{text} {n}") for n, text in enumerate(sentences(count, 1))]
        with pytest.raises(DataError, match=f"{count:,} different labels"):
            load(table(rows))


def test_unknown_label_of_a_trained_task_is_told_with_its_line(load: Load) -> None:
    few = table([("a b", "x"), ("c d", "y")])
    assert pairs(load(few, kind="classes", names=["y", "x"])) == [("a b", "x"), ("c d", "y")]
    with pytest.raises(DataError, match=r"did not have the label 'y' in .* line 3"):
        load(few, kind="classes", names=["x", "z"])
    data = load(table([("a b", "x;y"), ("c d", "")]), kind="multilabel", names=["y", "x"])
    assert data.targets.tolist() == [[True, True]]
    with pytest.raises(DataError, match=r"label 'x' is no number .* line 2"):
        load(few, kind="numbers", names=[])


# Parts


def test_part_column_gives_the_parts(load: Load) -> None:
    parts = ["train"] * 4 + ["dev", "test"]
    rows = [(t, y, parts[n % 6]) for n, (t, y) in enumerate(ROWS)]
    data = load(table(rows, ("text", "label", "split")))
    assert [("train", "dev", "test")[p] for p in data.part] == [row[2] for row in rows]


def test_training_texts_of_other_files_are_left_out_but_words_are_kept(
    load: Load, tmp_path: Path
) -> None:
    (tmp_path / "test.csv").write_text(table([*ROWS[:8], ("Ali", "pos"), ("Bo", "neg")]))
    rows = [*ROWS, (f"  {ROWS[1][0].upper()}", "pos"), ("ali", "neg")]
    options = {"test_data": str(tmp_path / "test.csv")}
    data = load(table(rows), **options)
    assert data.texts[-10:-2] == [text for text, _ in ROWS[:8]]
    assert sum(data.part < 2) == 53
    notes = "\n".join(data.notes)
    assert "9 training texts (left out; --keep-duplicates" in notes
    assert "1 training text of one word (kept)" in notes
    assert sum(load(table(rows), duplicates="keep", **options).part < 2) == 62


def test_every_file_is_named_with_the_number_of_its_texts(load: Load, tmp_path: Path) -> None:
    for name, count in (("validation", 9), ("test", 8)):
        (tmp_path / f"{name}.csv").write_text(table(ROWS[:count]))
    test = str(tmp_path / "test.csv")
    both = {"test_data": test, "validation_data": str(tmp_path / "validation.csv")}
    assert load(table(), test_data=test).notes[0] == (
        "data     data.csv and test.csv: 60 and 8 texts, UTF-8, ',' between columns"
    )
    assert load(table(), **both).notes[0] == (
        "data     data.csv, validation.csv and test.csv: 60, 9 and 8 texts, UTF-8, ','"
    )


def test_same_seed_gives_the_same_parts(load: Load, tmp_path: Path) -> None:
    first = load(table())
    path = tmp_path / "data.csv"
    assert (load_table(path, TextOptions(), 1).part == first.part).all()
    assert (load_table(path, TextOptions(), 2).part != first.part).any()
    assert first.digest == load_table(path, TextOptions(), 2).digest
    sizes = TextOptions(validation_size=0.5, test_size=0.5)
    assert np.bincount(load_table(path, sizes, 1).part).tolist() == [15, 15, 30]


def test_too_few_texts_are_refused(load: Load) -> None:
    with pytest.raises(DataError, match="6 texts are too few"):
        load(table(ROWS[:6]))
    with pytest.raises(DataError, match=r"one class alone.*--test"):
        load(table([*((t, "pos") for t, _ in ROWS), ("x y", "neg")]))


# Rows that are left out


def test_missing_and_ragged_rows_are_told_with_their_lines(load: Load) -> None:
    content = table([*ROWS, ("no label", ""), ("", "pos"), (" ", "neg")]) + "a,b,c\r\n\r\n"
    data = load(content)
    assert pairs(data) == ROWS
    assert data.notes[-3:] == (
        "left out 1 row that could not be read (line 65)",
        "left out 1 row without a label (line 62)",
        "left out 2 rows without a text (lines 63, 64)",
    )
    with pytest.raises(DataError, match=r"10 of 70 rows .* lines 62, 63, 64 \.\.\."):
        load(table() + "a,b,c\r\n" * 10)
    with pytest.raises(DataError, match=r"4 of 64 rows .* line"):
        load("".join(json.dumps(row) + "\n" for row in OBJECTS) + '{"text"\n' * 4, "a.jsonl")


def test_notes_are_few_aligned_lines(load: Load) -> None:
    rows = [(text, f"class {n % 25}") for n, text in enumerate(sentences(500))]
    data = load(table([*rows, ("once only", "rare")]))
    assert data.notes == (
        "data     data.csv: 501 texts, UTF-8, ',' between columns",
        data.notes[1],
        "label    column 'label': 26 classes: class 0 4.0 %, class 1 4.0 %,",
        "         class 2 4.0 %, class 3 4.0 %, class 4 4.0 %, ... rare 0.2 %",
        "         1 label of a single text: rare",
        "parts    train 361, validation 40, test 100 (validation and test drawn by label)",
    )


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "texts", "classes"),
    [("sst2", 6920, 2), ("sms", 4574, 2), ("hotel-zh", 6265, 2), ("names", 16050, 18)],
)
def test_real_tables(name: str, texts: int, classes: int) -> None:
    path = REAL_DATA / "own" / f"{name}-train.csv"
    data = load_table(path, TextOptions(), 1)
    with path.open(encoding="utf-8", newline="") as file:
        rows = [tuple(row) for row in csv.reader(file)][1:]
    assert pairs(data) == rows
    assert (len(data.texts), len(data.names)) == (texts, classes)
    assert abs((data.part == 2).sum() - 0.2 * texts) <= 5


def test_parts_are_drawn_where_every_text_is_repeated_often(tmp_path: Path) -> None:
    rows = [(f"a text that says {n % 7}", "ab"[n % 7 % 2]) for n in range(70)]
    path = tmp_path / "repeated.csv"
    path.write_text(
        "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8"
    )
    loaded = load_table(path, TextOptions(), seed=1)
    assert [int((loaded.part == part).sum()) > 0 for part in range(3)] == [True] * 3


def test_encodings_of_a_folder_are_told(tmp_path: Path) -> None:
    for label, word in (("good", "schön"), ("bad", "übel")):
        (tmp_path / label).mkdir()
        for n in range(20):
            encoding = "cp1252" if n < 2 else "utf-8"
            (tmp_path / label / f"{n}.txt").write_text(f"das ist {word}, Nummer {n}", encoding)
    data = load_table(tmp_path, TextOptions(), 1)
    assert "4 of 40 files are not UTF-8: read as cp1252" in " ".join(" ".join(data.notes).split())
    assert all("schön" in text or "übel" in text for text in data.texts)


def test_a_table_that_is_kept_is_parsed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(40)))
    calls = []

    def counted(path: Path, options: TextOptions) -> Table:
        calls.append(path)
        return read_table(path, options)

    monkeypatch.setattr("zoo_text.tables.load.read_table", counted)
    looks = [load_table(path, TextOptions(), 1, keep=True) for _ in range(3)]
    data = load_table(path, TextOptions(), 1)
    assert len(calls) == 1
    assert all(look.texts == data.texts for look in looks)
    # Another option, another content and a table that is not kept are read anew.
    load_table(path, TextOptions(header="yes"), 1)
    with path.open("a") as file:
        file.write("one more,a\n")
    assert "one more" in load_table(path, TextOptions(), 1).texts
    assert len(calls) == 3


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(40)))

    def slowly(path: Path, options: TextOptions) -> Table:
        table = read_table(path, options)
        with path.open("a") as file:
            file.write("one more,a\n")
        return table

    monkeypatch.setattr("zoo_text.tables.load.read_table", slowly)
    with pytest.raises(DataError, match="changes while it is read"):
        load_table(path, TextOptions(), 1)


def test_a_column_is_no_number_of_5000_digits(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(40)))
    with pytest.raises(DataError, match="no column"):
        load_table(path, TextOptions(text_column="1" * 5000), 1)


def test_many_columns_of_one_name_have_names_of_their_own() -> None:
    assert unique_names(["a", "a.2", "a", "", "a", "4"]) == ["a", "a.2", "a.3", "4", "a.4", "4.2"]
    assert len(set(unique_names(["a"] * 1000))) == 1000
