"""Tables of Python as data: what is written for the task, and what is refused."""

from __future__ import annotations

import datetime
import decimal
import json
from collections import UserDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_task import TOY, Toy

import zoo
from zoo import installed
from zoo.api import frames
from zoo.engine.run_directory import RunDirectory
from zoo.errors import DataError, UsageError
from zoo.interfaces import Data

TEXTS = [f"a {word} film {number}" for number in range(30) for word in ("fine", "dull")]
LABELS = ["pos", "neg"] * 30
SMALL = {"steps": 1, "model.hidden_size": 3}


@dataclass(frozen=True)
class Column:
    """What columns of pandas and polars have in common."""

    values: list[Any]

    def to_list(self) -> list[Any]:
        return self.values


class TableLike:
    """What their DataFrames have in common."""

    def __init__(self, **columns: list[Any]) -> None:
        self._columns = columns

    @property
    def columns(self) -> list[str]:
        return list(self._columns)

    def __getitem__(self, name: str) -> Column:
        return Column(self._columns[name])


class NAType:
    """What pandas has for a missing value: comparing it raises."""

    def __eq__(self, other: object) -> bool:
        raise TypeError

    __hash__ = object.__hash__


def lines(table: Any, folder: Path) -> list[dict[str, Any]]:
    directory = RunDirectory(folder)
    with directory.lock(), frames.written({"data": table}, directory) as paths:
        text = paths["data"].read_text(encoding="utf-8")
    assert not folder.exists()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    "table",
    [
        TableLike(text=["a", "b"], label=[1, 2]),
        {"text": ["a", "b"], "label": (n for n in (1, 2))},
        UserDict({"text": np.array(["a", "b"]), "label": np.array([1, 2])}),
        [("a", 1), ["b", 2]],
        iter([("a", 1), ("b", 2)]),
    ],
)
def test_tables_of_every_kind_have_the_same_rows(table: Any, tmp_path: Path) -> None:
    assert lines(table, tmp_path / "a" / "b") == [
        {"text": "a", "label": 1}, {"text": "b", "label": 2},
    ]  # fmt: skip
    assert not (tmp_path / "a").exists()


def test_values_are_written_as_json_has_them(tmp_path: Path) -> None:
    values: list[tuple[Any, Any]] = [
        (None, None), (float("nan"), None), (np.float32("nan"), None), (NAType(), None),
        (True, True), (np.bool_(False), False), (3, 3), (np.int64(3), 3), (0.5, 0.5),
        (np.float32(0.5), 0.5), (decimal.Decimal("0.25"), 0.25), ("é 😀\n", "é 😀\n"),
        (["a", float("nan")], ["a", None]), (("a", "b"), ["a", "b"]), ({"b", "a"}, ["a", "b"]),
        (np.array([1, 2]), [1, 2]), (Column([1]), [1]), (np.str_("x"), "x"),
        (datetime.date(2024, 5, 1), "2024-05-01"),
    ]  # fmt: skip
    found = lines({3: [value for value, _ in values]}, tmp_path / "x")
    assert [row["3"] for row in found] == [expected for _, expected in values]
    assert [type(row["3"]) for row in found] == [type(expected) for _, expected in values]


@pytest.mark.parametrize(
    ("table", "error", "said"),
    [
        (
            {"text": ["a"], "label": [1, 2]},
            DataError,
            "different lengths .*text has 1, label has 2",
        ),
        ({"text": [], "label": []}, DataError, "no rows"),
        ([], DataError, "no rows"),
        ({"text": ["a", float("inf")]}, DataError, "not finite in row 2 of data, column 'text'"),
        ({"text": [object()]}, DataError, "a value is a object in row 1 of data, column 'text'"),
        ({"text": ["\ud800"]}, DataError, "text is not Unicode in row 1 of data"),
        ({"text": "abc"}, TypeError, "column 'text' is a single string"),
        (["abc", "def"], TypeError, "data is a list: give a path, a DataFrame"),
        (3, TypeError, "data is a int: give a path"),
        ([("a", "b", "c")], TypeError, "pairs"),
    ],
)
def test_what_is_no_table_is_refused_and_nothing_is_written(
    table: Any, error: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        zoo.train("sentiment/gru", table, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = TableLike(text=["a"])
    table.__class__ = type("Twice", (TableLike,), {"columns": ["text", "text"]})
    with pytest.raises(DataError, match="two columns have the same name"):
        lines(table, tmp_path / "x")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_of_the_libraries(library: str, tmp_path: Path) -> None:
    frame = pytest.importorskip(library).DataFrame(
        {"text": ["a", None, "c"], "n": [1.5, None, 2.0]}
    )
    assert lines(frame, tmp_path / "x") == [
        {"text": "a", "n": 1.5}, {"text": None, "n": None}, {"text": "c", "n": 2.0},
    ]  # fmt: skip


# Training on them


def test_a_table_is_trained_on_and_kept_with_the_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    table = {"text": TEXTS, "label": LABELS}
    run = zoo.train("sentiment/gru", table, out=out, settings=SMALL, threads=1, progress=False)
    assert run.config["data"] == str((out / "data.jsonl").resolve())
    assert run.model.info["task_state"]["labels"] == ["neg", "pos"]
    assert run.test
    assert run.test["examples"] == 12
    assert zoo.open_run(out).test == run.test
    resumed = zoo.resume(out, threads=1, progress=False, steps=2)
    assert resumed.history["step"][-1] == 2


def test_fit_takes_texts_and_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = zoo.fit(TEXTS, iter(LABELS), name="sentiment/gru", settings=SMALL, progress=False)
    assert run.path.parent == Path("runs")
    assert run.path.name.startswith("sentiment-gru-")
    assert [p.text for p in run.model.predict(["a fine film"])] == ["a fine film"]
    with pytest.raises(TypeError, match="takes several texts"):
        zoo.fit("text", LABELS)
    with pytest.raises(DataError, match="different lengths"):
        zoo.fit(TEXTS, LABELS[1:], name="sentiment/gru")
    assert len(list(Path("runs").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "settings", "error"),
    [
        ("sentiment/gru", {"hiden_size": 3}, UsageError),
        ("sentiment/gru", {"text_column": "review"}, DataError),
        ("sentiment/grv", {}, UsageError),
    ],
)
def test_a_refused_training_leaves_nothing(
    name: str, settings: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    for out in (tmp_path / "new" / "run", tmp_path / "there"):
        with pytest.raises(error):
            zoo.fit(TEXTS, LABELS, name=name, out=out, settings=settings, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert list((tmp_path / "there").iterdir()) == []


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("precious")
    with pytest.raises(UsageError, match="file exists in"):
        zoo.fit(TEXTS, LABELS, name="sentiment/gru", out=tmp_path, progress=False)
    assert (tmp_path / "data.jsonl").read_text() == "precious"


# Files beside the data


@dataclass(frozen=True)
class PartOptions(zoo.Options):
    validation_data: str = zoo.option("", "a file", is_path=True)
    test_data: str = zoo.option("", "a file", is_path=True)
    length: int = zoo.option(4, "numbers in a row")


class Parts(Toy):
    """A task that takes further files: it only looks whether they are there."""

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        for file in (self.options.validation_data, self.options.test_data):  # type: ignore[attr-defined]
            assert not file or Path(file).is_absolute()
            assert not file or Path(file).exists()
        return super().prepare(path, seed, fit=fit)


@pytest.fixture
def parts() -> Iterator[None]:
    installed.forget()
    look = lambda path, options: zoo.Suggestion("gru") if path else None  # noqa: E731
    zoo.register(replace(TOY, name="parts", target=Parts, options=PartOptions, suggest=look))
    yield
    installed.forget()


def test_validation_and_test_may_be_tables_or_files(
    parts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("validation.csv").write_text("text,label\n")
    Path("train.csv").write_text("text,label\n")
    run = zoo.train(
        "parts/gru", "train.csv", validation="validation.csv", test=[("a", "b")], out="run",
        settings={"epochs": 1}, progress=False,
    )  # fmt: skip
    options = run.config["task"]["options"]
    assert options["validation_data"] == str(tmp_path / "validation.csv")
    assert options["test_data"] == str(tmp_path / "run" / "test.jsonl")
    zoo.api.check_same_run("run", "", validation="validation.csv", test="run/test.jsonl")
    with pytest.raises(UsageError, match=r"task\.validation_data differ"):
        zoo.api.check_same_run("run", "", validation="train.csv")
    set_ = zoo.train("parts/gru", "train.csv", settings={"test_data": "train.csv", "epochs": 1},
                     out="set", progress=False)  # fmt: skip
    assert set_.config["task"]["options"]["test_data"] == str(tmp_path / "train.csv")


def test_weights_have_the_names_of_files_alone_and_the_run_knows_where_they_are(
    parts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.csv").write_text("text,label\n")
    run = zoo.train(
        "parts/gru", tmp_path / "train.csv", test=tmp_path / "train.csv", out=tmp_path / "run",
        settings={"epochs": 1}, progress=False,
    )  # fmt: skip
    assert str(tmp_path).encode() not in (run.path / "weights.safetensors").read_bytes()
    assert run.config["task"]["options"]["test_data"] == str(tmp_path / "train.csv")
    monkeypatch.chdir(tmp_path.root)
    assert zoo.load(run.path).evaluate(tmp_path / "train.csv")["examples"] == 12


def test_a_missing_file_beside_the_data(parts: None, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\n")
    with pytest.raises(DataError, match=r"no validation data 'nothing\.csv': there is no"):
        zoo.train("parts/gru", tmp_path / "train.csv", validation="nothing.csv",
                  out=tmp_path / "run")  # fmt: skip
    assert not (tmp_path / "run").exists()
