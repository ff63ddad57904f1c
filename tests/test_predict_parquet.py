"""``zoo predict`` of Parquet files: columns, order, several files, memory and failures."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from conftest import Run
from test_cli_errors import DATA, USAGE, check

import zoo.api
from zoo.errors import DiskError, UsageError
from zoo.interfaces import Prediction
from zoo.prediction import predict
from zoo.runtime import InferenceModel

pa = pytest.importorskip("pyarrow", reason="needs the extra 'tables'")
pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'tables'")

TEXTS = ["A film to remember.", "Two hours I want back.", "", 'ゝ \'twas "fine"\n, he said']
MODEL = "imdb-bilstm"
Refused = Callable[..., None]


def write(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@dataclass(frozen=True, slots=True)
class Mixed(Prediction):
    """A prediction of every type that a field may have."""

    size: int
    is_long: bool
    words: tuple[str, ...]
    span: tuple[int, str]


class Counting:
    """A task that says how long texts are, and counts how many it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, network: object, texts: Sequence[str]) -> list[Mixed]:
        self.asked += len(texts)
        return [
            Mixed(text, len(text), len(text) > 5, tuple(text.split()), (len(text), "end"))
            for text in texts
        ]


def model_of(task: Counting, text_column: str = "") -> InferenceModel:
    """Return what predict_parquet needs of a model."""
    return cast(
        "InferenceModel",
        SimpleNamespace(
            info={"run": {"task": {"options": {"text_column": text_column}}}},
            predict=lambda texts, threads=1: predict(task, None, texts, threads),
        ),
    )


def test_the_answers_are_those_of_the_texts_and_all_columns_are_kept(
    tmp_path: Path, zoo_here: Run
) -> None:
    source = write(tmp_path / "texts.parquet", id=[7, 5, 3, 1], text=TEXTS, day=pa.nulls(4))
    target = tmp_path / "answers.parquet"
    done = zoo_here("predict", MODEL, "-i", source, "-o", target, "--threads", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{target}\n"
    assert "warning: 1 text has nothing that the training knew" in done.stderr
    table = pq.read_table(target)
    assert table.column_names == ["id", "text", "day", "label", "probability", "scores", "known"]
    assert table.select(["id", "text", "day"]).equals(pq.read_table(source))
    for row, text in zip(table.to_pylist(), TEXTS, strict=True):
        (line,) = zoo_here("predict", MODEL, "--json", "--", text).stdout.splitlines()
        answer = json.loads(line)
        assert row["label"] == answer["label"]
        assert row["probability"] == pytest.approx(answer["probability"], abs=1e-6)
        assert dict(row["scores"]) == pytest.approx(answer["scores"], abs=1e-6)
        assert row["known"] == answer["known"]
    assert names(tmp_path) == ["answers.parquet", "texts.parquet"]


def test_every_type_of_a_field_and_texts_in_a_dictionary(tmp_path: Path) -> None:
    words = pa.array(["a b", "a b", "abcdefg", "a b"] * 1000).dictionary_encode()
    source = write(tmp_path / "texts.parquet", body=words, number=list(range(4000)))
    target = tmp_path / "answers.parquet"
    found = zoo.api.predict_parquet(model_of(Counting()), source, target, threads=2)
    assert found == zoo.api.PredictedFiles((target,), 4000, 0)
    table = pq.read_table(target)
    assert table["body"].to_pylist() == words.to_pylist()
    assert table["number"].to_pylist() == list(range(4000))
    assert table.to_pylist()[2] == {
        "body": "abcdefg", "number": 2, "size": 7, "is_long": True, "words": ["abcdefg"],
        "span": '[7, "end"]',
    }  # fmt: skip
    assert table.schema.field("words").type == pa.list_(pa.string())


@pytest.mark.parametrize(
    ("columns", "given", "trained_on", "chosen"),
    [
        ({"id": [1], "sms": ["one"]}, "", "", "sms"),
        ({"title": ["four"], "text": ["one"]}, "", "", "text"),
        ({"title": ["four"], "text": ["one"]}, "", "title", "title"),
        ({"title": ["four"], "text": ["one"]}, "title", "", "title"),
        ({"title": [4], "sms": ["one"]}, "", "title", "sms"),
    ],
)
def test_the_column_of_texts(
    columns: dict[str, Any], given: str, trained_on: str, chosen: str, tmp_path: Path
) -> None:
    source, target = write(tmp_path / "texts.parquet", **columns), tmp_path / "answers.parquet"
    zoo.api.predict_parquet(model_of(Counting(), trained_on), source, target, text_column=given)
    assert pq.read_table(target)["size"].to_pylist() == [len(columns[chosen][0])]


@pytest.mark.parametrize("pattern", ["texts", "texts/*.parquet"])
def test_several_files_keep_their_names_also_one_without_rows(pattern: str, tmp_path: Path) -> None:
    write(tmp_path / "texts" / "part-0.parquet", text=pa.array([], pa.string()))
    write(tmp_path / "texts" / "part-1.parquet", text=["one", "three"])
    (tmp_path / "texts" / "_SUCCESS").touch()
    output = tmp_path / "new" / "answers"
    found = zoo.api.predict_parquet(model_of(Counting()), tmp_path / pattern, output)
    assert found.rows == 2
    assert names(output) == ["part-0.parquet", "part-1.parquet"]
    empty, full = (pq.read_table(path) for path in found.paths)
    assert empty.schema == full.schema
    assert full["size"].to_pylist() == [3, 5]


def test_rows_are_read_as_they_are_predicted_whatever_the_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row group is read, of texts that are so long that a hundred of them are a chunk."""
    monkeypatch.setattr("zoo.api.parquet_files._GROUP_BYTES", 1 << 22)
    task = Counting()
    seen: list[tuple[int, int, int]] = []
    source = write(tmp_path / "texts.parquet", text=[f"{n:03}" * 13_000 for n in range(300)])
    zoo.api.predict_parquet(
        model_of(task), source, tmp_path / "answers.parquet",
        progress=lambda done, rows: seen.append((done, rows, task.asked)),
    )  # fmt: skip
    assert seen[-1][:2] == (300, 300)
    assert max(asked - done for done, _, asked in seen) <= 110
    with pq.ParquetFile(tmp_path / "answers.parquet") as file:
        assert file.num_row_groups == 3
        assert file.read()["text"].to_pylist() == pq.read_table(source)["text"].to_pylist()


def growth(source: Path, target: Path, rows: int) -> int:
    """Return by how many kB the memory of this process grows while texts of 2 kB are predicted."""

    def memory() -> int:
        found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1])

    text = "A film to remember, with words of all kinds in it. " * 40
    pq.write_table(pa.table({"text": [text] * rows}), source, use_dictionary=False)
    pa.default_memory_pool().release_unused()
    noted = [memory()]
    zoo.api.predict_parquet(
        model_of(Counting()), source, target, progress=lambda done, total: noted.append(memory())
    )
    return max(noted) - noted[0]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Of 40 MB and of 120 MB, in one row group each, and each in a process of its own."""
    found = []
    for rows in (20_000, 60_000):
        with get_context("spawn").Pool(1) as pool:
            paths = (tmp_path / "texts.parquet", tmp_path / f"{rows}.parquet")
            found.append(pool.apply(growth, (*paths, rows)))
    assert found[1] < found[0] + 30_000


# Failures


@pytest.fixture
def refused(tmp_path: Path, zoo_here: Run) -> Refused:
    """Run a prediction that has to be refused; it may leave no file."""

    def run(code: int, *arguments: object, said: tuple[object, ...]) -> None:
        before = sorted(path for path in tmp_path.rglob("*"))
        check(zoo_here("predict", MODEL, *arguments, cwd=tmp_path), code, *said)
        assert sorted(path for path in tmp_path.rglob("*")) == before

    return run


@pytest.mark.parametrize(
    ("columns", "options", "code", "said"),
    [
        ({"text": ["a"]}, ["--text-column", "txt"], DATA, "no column 'txt' (did you mean 'text'?)"),
        ({"n": [1]}, [], DATA, "no column has texts in texts.parquet: columns are n"),
        ({"n": [1], "text": ["a"]}, ["--text-column", "n"], DATA, "has no texts in"),
        ({"text": ["a", None]}, [], DATA, "texts are null in column 'text' in texts.parquet: 1 of"),
        ({"a": ["x"], "b": ["y"]}, [], USAGE, "may be in a, b; choose with --text-column"),
        ({"text": ["a"], "label": [1]}, [], USAGE, "there is a column 'label' already in"),
    ],
)
def test_columns_that_cannot_be_used(
    columns: dict[str, Any], options: list[str], code: int, said: str, tmp_path: Path,
    refused: Refused,
) -> None:  # fmt: skip
    write(tmp_path / "texts.parquet", **columns)
    refused(code, "-i", "texts.parquet", "-o", "answers.parquet", *options, said=(said,))


def test_another_prefix_makes_room_for_columns_of_the_same_name(
    tmp_path: Path, zoo_here: Run
) -> None:
    source = write(tmp_path / "texts.parquet", text=["a"], label=["pos"])
    target = tmp_path / "answers.parquet"
    arguments = ("predict", MODEL, "-i", source, "-o", target, "--prefix", "predicted_")
    assert zoo_here(*arguments).returncode == 0
    assert {"label", "predicted_label"} <= set(pq.read_table(target).column_names)


def test_files_that_cannot_be_used(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "texts.csv").write_text("text\na film\n")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "texts.parquet", text=["a film"])
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "texts.parquet").read_bytes()[:-9])
    for name in ("texts.csv", "cut.parquet"):
        said = (f"cannot read the Parquet file in {name}: ",)
        refused(DATA, "-i", name, "-o", "answers.parquet", said=said)
    refused(DATA, "-i", "none.parquet", "-o", "a.parquet", said=("no such file in none.parquet",))
    refused(DATA, "-i", "empty", "-o", "a", said=("no such file in empty/*.parquet",))


def test_output_that_exists_is_refused_and_replaced_when_asked(
    tmp_path: Path, refused: Refused, zoo_here: Run
) -> None:
    write(tmp_path / "texts.parquet", text=["a film"])
    (tmp_path / "answers.parquet").write_text("mine")
    both = ("-i", "texts.parquet", "-o", "answers.parquet")
    refused(USAGE, *both, said=("file exists in answers.parquet",))
    assert (tmp_path / "answers.parquet").read_text() == "mine"
    same = ("-i", "texts.parquet", "-o", "texts.parquet", "--force")
    refused(USAGE, *same, said=("the output would replace the input",))
    assert zoo_here("predict", MODEL, *both, "--force", cwd=tmp_path).returncode == 0
    assert pq.read_table(tmp_path / "answers.parquet").num_rows == 1


def test_options_that_do_not_go_together(refused: Refused) -> None:
    refused(USAGE, "-i", "texts.parquet", said=("-i and -o go together",))
    refused(USAGE, "--prefix", "x", "a text", said=("--prefix and --force go with -i",))
    refused(USAGE, "-i", "a", "-o", "b", "--json", said=("neither TEXT nor --json",))


def test_what_fails_in_the_middle_leaves_no_file(tmp_path: Path) -> None:
    """Statistics may be missing, so that a null is met where it is."""
    texts = [*["a"] * 2500, None, *["a"] * 500]
    source = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"text": texts}), source, write_statistics=False)
    with pytest.raises(zoo.ZooError, match="texts are null in column 'text'"):
        zoo.api.predict_parquet(model_of(Counting()), source, tmp_path / "answers.parquet")
    assert names(tmp_path) == ["texts.parquet"]


def test_a_full_disk_is_a_line(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    source = write(tmp_path / "texts.parquet", text=["a"])
    with pytest.raises(DiskError, match="cannot write"):
        zoo.api.predict_parquet(model_of(Counting()), source, "/dev/full", overwrite=True)


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match=r"pip install 'seqzoo\[tables\]'"):
        zoo.api.predict_parquet(model_of(Counting()), "texts.parquet", "answers.parquet")
