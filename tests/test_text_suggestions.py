"""What is suggested for a file of texts."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from zoo_sentiment.options import SentimentOptions
from zoo_sentiment.suggest import suggest as suggest_sentiment
from zoo_text.languages import choose_tokens
from zoo_text.options import ClassificationOptions
from zoo_text.suggest import suggest_classification, training_settings


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["A film to remember, really.", "Two hours I want back."], "subwords"),
        (["房间很好、早餐也不错", "这家酒店太吵了"], "characters"),
        (["とても良い部屋でした。また来ます"], "characters"),
        (["ห้องพักสะอาดมาก พนักงานดี"], "characters"),
        (["방이 아주 깨끗하고 조용했어요"], "subwords"),
        (["الغرفة نظيفة جدا والإفطار جيد"], "subwords"),
        (["Nguyen", "O'Brien", "de la Cruz"], "characters"),
    ],
)
def test_tokens_suit_the_language(texts: list[str], expected: str) -> None:
    assert choose_tokens(texts) == expected


def test_fewer_texts_and_more_labels_take_more_epochs() -> None:
    def epochs(texts: int, labels: int, length: float = 20) -> int:
        found: int = training_settings(texts, labels, length)["training.epochs"]
        return found

    assert epochs(500, 2) > epochs(5000, 2) > epochs(50_000, 2)
    assert epochs(5000, 20) > epochs(5000, 2)
    assert epochs(5000, 2, 2000) < epochs(5000, 2)
    assert all(1 <= epochs(10**n, labels) <= 30 for n in range(7) for labels in (0, 1, 2, 1000))


def test_columns_and_labels_are_written_down(tmp_path: Path) -> None:
    path = tmp_path / "mail.tsv"
    lines = [f"{'win money' if n % 4 else 'see you'} {n}\t{n % 4 > 0}\n" for n in range(40)]
    path.write_text("body\tspam\n" + "".join(lines), encoding="utf-8")
    found = suggest_classification(path, ClassificationOptions())
    assert found is not None
    wanted = {"task.text_column": "body", "task.label_column": "spam", "task.labels": "classes"}
    assert wanted.items() <= found.settings.items()
    assert suggest_sentiment(path, SentimentOptions()) == found
    assert suggest_classification(path, ClassificationOptions(labels="multilabel")) is None


def test_the_archive_of_reviews_is_for_sentiment(tmp_path: Path) -> None:
    archive = tmp_path / "aclImdb_v1.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(__file__, "aclImdb/train/pos/0_9.txt")
    assert suggest_classification(archive, ClassificationOptions()) is None
    found = suggest_sentiment(archive, SentimentOptions())
    assert found is not None
    assert found.settings["training.epochs"] == 2
