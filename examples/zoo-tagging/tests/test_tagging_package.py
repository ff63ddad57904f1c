"""The tagging task against counting, trained on its sample."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zoo_tagging.data import load
from zoo_tagging.options import TaggingOptions
from zoo_tagging.task import Tagging

import zoo
from zoo.errors import DataError


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zoo.Run]:
    """A run of a model that reads in both directions, and of one that does not."""
    folder = tmp_path_factory.mktemp("runs")
    arguments: dict[str, Any] = {"threads": 1, "device": "cpu", "progress": False}
    return {
        name: zoo.train(f"tagging/{name}", out=folder / name, settings={"epochs": 3}, **arguments)
        for name in ("lstm", "bilstm")
    }


def test_accuracy_and_baseline_are_those_of_plain_counting(runs: dict[str, zoo.Run]) -> None:
    sentences = load(None)[0]
    order = np.random.default_rng(1).permutation(len(sentences))
    test = [sentences[row] for row in order[len(order) * 9 // 10 :]]
    true_tags = [tag for sentence in test for _, tag in sentence]
    model = runs["bilstm"].model
    texts = [" ".join(word for word, _ in sentence) for sentence in test]
    predicted = [tag for answer in model.predict(texts) for tag in answer.tags]  # type: ignore[attr-defined]
    hits = sum(a == b for a, b in zip(predicted, true_tags, strict=True))

    metrics = model.evaluate()
    assert metrics["training_data"]
    assert metrics["examples"] == len(true_tags)
    assert metrics["accuracy"] == pytest.approx(hits / len(true_tags))
    assert metrics["baseline"] == pytest.approx(max(Counter(true_tags).values()) / len(true_tags))


def test_tags_depend_on_the_words_before_and_after(runs: dict[str, zoo.Run]) -> None:
    accuracy = {name: run.metrics["validation"]["accuracy"] for name, run in runs.items()}
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in load(None)[0]:
        for word, tag in sentence:
            counts[word][tag] += 1
    words = sum(sum(tags.values()) for tags in counts.values())
    by_word_alone = sum(max(tags.values()) for tags in counts.values()) / words
    assert by_word_alone + 0.05 < accuracy["lstm"]
    assert accuracy["lstm"] + 0.04 < accuracy["bilstm"]
    assert accuracy["bilstm"] > 0.97


def test_unknown_words_and_empty_texts_are_tagged(runs: dict[str, zoo.Run]) -> None:
    texts = ["the small dogs see THEM", "", "the small zyx see them"]
    answers: list[Any] = list(runs["bilstm"].model.predict(texts))
    assert [answer.tags for answer in answers] == [tuple("DANVP"), (), tuple("DANVP")]
    assert all(0 < answer.probability <= 1 for answer in answers)


def test_files_of_tagged_sentences(tmp_path: Path) -> None:
    path = tmp_path / "sentences.txt"
    path.write_text("we/P see/V 1/2/N\n\n" * 10, encoding="utf-8")
    task = Tagging(TaggingOptions())
    assert task.prepare(path, seed=1).splits["all"].num_examples == 10
    assert task.words == ["<pad>", "<unk>", "1/2", "see", "we"]
    path.write_text("we/P see/V\n" * 10 + "we/P see them/P\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"'see' has no tag in line 11 of {path}"):
        task.prepare(path, seed=1)
    path.write_text("we/X see/V\n" * 10, encoding="utf-8")
    with pytest.raises(DataError, match="tag 'X' was not in the training data"):
        task.prepare(path, seed=1, fit=False)
