"""Further training texts, such as those that a model has labelled, and the parts they are in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_sentiment_sources import archive, texts
from test_text_tasks import FAST, meals, write

import zoo
from zoo.errors import DataError
from zoo.interfaces import Split
from zoo_sentiment.options import SentimentOptions
from zoo_sentiment.task import Sentiment
from zoo_text.batches import TextSplit
from zoo_text.classification import TextClassification
from zoo_text.options import ClassificationOptions, RegressionOptions
from zoo_text.regression import TextRegression


def read(split: Split) -> list[tuple[str, int]]:
    """Return the texts of a split and their targets, sorted."""
    assert isinstance(split, TextSplit)
    return sorted((split.text(row), int(split.targets[row])) for row in split.tokens.targets)


def prepare(data: Path, **options: Any) -> Any:
    return TextClassification(ClassificationOptions(**options)).prepare(data, 1)


def test_they_are_in_the_training_part_alone(tmp_path: Path) -> None:
    rows = meals(150)
    data, more = write(tmp_path / "meals.csv", rows[:120]), write(tmp_path / "more.csv", rows[120:])
    alone, both = prepare(data), prepare(data, more_data=str(more))
    for name in ("validation", "test"):
        assert read(both.splits[name]) == read(alone.splits[name])
    added = [(text, ["bad", "good"].index(label)) for text, label in rows[120:]]
    assert read(both.splits["train"]) == sorted(read(alone.splits["train"]) + added)
    assert both.digest != alone.digest
    assert any("30 texts of more.csv, for training alone" in note for note in both.notes)


@pytest.mark.parametrize(("duplicates", "added"), [("drop", 30), ("keep", 150)])
def test_what_is_in_another_part_is_left_out(duplicates: str, added: int, tmp_path: Path) -> None:
    rows = meals(150)
    data, more = write(tmp_path / "meals.csv", rows[:120]), write(tmp_path / "more.csv", rows)
    alone = prepare(data)
    held_out = sum(alone.splits[name].num_examples for name in ("validation", "test"))
    both = prepare(data, more_data=str(more), duplicates=duplicates)
    kept = 150 - held_out if duplicates == "drop" else added
    assert both.splits["train"].num_examples == alone.splits["train"].num_examples + kept
    assert any("also in validation or test" in note for note in both.notes)


def test_answers_of_a_model_are_such_texts_and_may_be_gone_later(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="needs the extra 'tables'")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'tables'")
    rows = meals(160)
    data = write(tmp_path / "meals.csv", rows[:120])
    teacher = zoo.train(data=data, out=tmp_path / "teacher", settings=FAST, progress=False)
    unlabelled, answers = tmp_path / "unlabelled.parquet", tmp_path / "answers.parquet"
    parquet.write_table(pa.table({"review": [text for text, _ in rows[120:]]}), unlabelled)
    zoo.api.predict_parquet(teacher.model, unlabelled, answers)
    student = zoo.train(
        data=data, out=tmp_path / "student", progress=False,
        settings={**FAST, "more_data": str(answers), "ngram_weight": 0.5},
    )  # fmt: skip
    added = student.data.splits["train"].num_examples - teacher.data.splits["train"].num_examples
    assert added == 40
    before, validation = (student.model.evaluate(data, split=n) for n in ("test", "validation"))
    assert validation["accuracy"] == student.model.info["metrics"]["validation"]["accuracy"]
    zoo.api.export(student.path, tmp_path / "model.safetensors")
    exported = zoo.load(tmp_path / "model.safetensors")
    answers.unlink()
    for model in (student.model, exported):
        assert model.evaluate(data) | {"data": ""} == before | {"data": ""}
        with pytest.raises(DataError, match=r"training texts of .*answers\.parquet are missing"):
            model.evaluate(data, split="validation")
    assert exported.info["run"]["task"]["options"]["more_data"] == "answers.parquet"


def test_the_columns_are_those_of_the_data_and_other_parts_are_left_out(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    lines = [f"body {n},title {n},{'good' if n % 2 else 'bad'},train" for n in range(40)]
    data.write_text("body,title,label,split\n" + "\n".join(lines))
    more = tmp_path / "more.csv"
    more.write_text("body,title,label,split\nx,new one,good,train\ny,another one,bad,test\n")
    found = prepare(data, more_data=str(more), text_column="title", label_column="label")
    texts = [text for text, _ in read(found.splits["all"])]
    assert "new one" in texts
    assert not {"another one", "x", "y"} & set(texts)
    assert "1 text of its other parts left out" in " ".join(" ".join(found.notes).split())


def test_a_few_numbers_are_enough(tmp_path: Path) -> None:
    data = write(tmp_path / "data.csv", [(f"text number {n}", n / 7) for n in range(40)])
    more = write(tmp_path / "more.csv", [("half of it", 0.5), ("all of it", 1.25)])
    task = TextRegression(RegressionOptions(more_data=str(more)))
    assert task.prepare(data, 1).splits["all"].num_examples == 42


@pytest.mark.parametrize("tokens", ["words", "subwords"])
def test_they_go_with_the_reviews_of_imdb(tokens: str, tmp_path: Path) -> None:
    data = archive(tmp_path / "imdb.tar.gz", texts())
    more = write(tmp_path / "more.csv", [("one more film", "pos"), ("and one more", "neg")])
    shared: dict[str, Any] = {"tokens": tokens, "ngram_weight": 0.0, "validation_size": 0.5}
    parts = [
        Sentiment(SentimentOptions(**shared, more_data=name)).prepare(data, 1).splits
        for name in ("", str(more))
    ]
    sizes = [{name: part.num_examples for name, part in those.items()} for those in parts]
    assert sizes[1] == sizes[0] | {
        "train": sizes[0]["train"] + 2, "all": sizes[0]["all"] + 2,
    }  # fmt: skip
    assert ("one more film", 1) in read(parts[1]["train"])


def test_they_leave_the_parts_of_a_table_of_reviews_alone(tmp_path: Path) -> None:
    rows = [(text, {"good": "pos", "bad": "neg"}[label]) for text, label in meals(240)]
    data, more = write(tmp_path / "a.csv", rows[:200]), write(tmp_path / "b.csv", rows[200:])
    shared: dict[str, Any] = {"tokens": "words", "ngram_weight": 0.0}
    alone, both = (
        Sentiment(SentimentOptions(**shared, more_data=name)).prepare(data, 1).splits
        for name in ("", str(more))
    )
    for name in ("validation", "test"):
        assert read(both[name]) == read(alone[name])


def test_failures_name_the_file(tmp_path: Path) -> None:
    data = write(tmp_path / "meals.csv", meals())
    more = write(tmp_path / "more.csv", [("a text", "good"), ("another", "so-so")])
    with pytest.raises(DataError, match=r"did not have the label 'so-so' in .*more\.csv, line 3"):
        prepare(data, more_data=str(more))
    with pytest.raises(DataError, match=r"none\.csv"):
        prepare(data, more_data=str(tmp_path / "none.csv"))
