"""Outcomes of single examples agree with evaluations, and are in the order of the split."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.interfaces import Outcomes, ScoresExamples

Train = Callable[..., Any]

# Settings that make a network small; the rest is as users have it.
SMALL = ("steps=30", "hidden_size=8", "embed_size=8")


def rows(count: int) -> list[dict[str, Any]]:
    """Return texts of very different lengths with a label, labels and a number each."""
    draw = random.Random(4)
    found = []
    for number in range(count):
        label = draw.choice(["animal", "city", "plant"])
        words = {"animal": ["dog", "cat"], "city": ["rome", "oslo"], "plant": ["fern", "oak"]}
        text = [draw.choice(words[label]), *(draw.choice("abcdefgh") for _ in range(number % 23))]
        draw.shuffle(text)
        several = [label, *(["long"] if len(text) > 12 else [])]
        found.append(
            {"text": " ".join(text), "label": label, "labels": several, "value": len(text) * 1.5}
        )
    return found


def table(folder: Path, target: str) -> Path:
    """Write a table of texts and one of the targets; return its path."""
    path = folder / f"{target}.jsonl"
    lines = [json.dumps({"text": row["text"], "label": row[target]}) for row in rows(240)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, train_here: Train) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("outcomes")
    tasks = {
        "label": "text-classification",
        "labels": "text-multilabel",
        "value": "text-regression",
    }
    return {
        target: train_here(f"{task}/gru", folder / target, *SMALL, data=table(folder, target))
        for target, task in tasks.items()
    }


def outcomes(run: Any, split: str = "test") -> Outcomes:
    found = run.model.outcomes(run.config["data"], split=split)
    assert isinstance(found, Outcomes)
    return found


def evaluated(run: Any, split: str = "test") -> dict[str, Any]:
    measured: dict[str, Any] = run.model.evaluate(run.config["data"], split=split)
    return measured


@pytest.mark.parametrize("split", ["test", "validation", "train"])
def test_labels_agree_with_the_evaluation(runs: dict[str, Any], split: str) -> None:
    found, metrics = outcomes(runs["label"], split), evaluated(runs["label"], split)
    assert found.kind == "labels"
    assert len(found.targets) == metrics["examples"]
    assert found.losses.mean() == pytest.approx(metrics["loss"], rel=1e-5)
    assert (found.predicted == found.targets).mean() == pytest.approx(metrics["accuracy"])
    assert found.scores is not None
    np.testing.assert_allclose(found.scores.sum(1), 1)
    likelihoods = -np.log(found.scores[np.arange(len(found.targets)), found.targets])
    np.testing.assert_allclose(found.losses, likelihoods, rtol=1e-4, atol=1e-6)


def test_label_sets_agree_with_the_evaluation(runs: dict[str, Any]) -> None:
    found, metrics = outcomes(runs["labels"]), evaluated(runs["labels"])
    assert found.kind == "label-sets"
    right = (found.predicted == found.targets).all(1)
    assert right.mean() == pytest.approx(metrics["exact_match"])
    assert (found.predicted != found.targets).mean() == pytest.approx(metrics["hamming_loss"])
    assert found.losses.mean() == pytest.approx(metrics["loss"], rel=1e-5)


def test_numbers_agree_with_the_evaluation(runs: dict[str, Any]) -> None:
    found, metrics = outcomes(runs["value"]), evaluated(runs["value"])
    assert found.kind == "numbers"
    assert np.abs(found.predicted - found.targets).mean() == pytest.approx(metrics["mae"])
    assert found.losses.mean() == pytest.approx(metrics["loss"], rel=1e-5)


def test_outcomes_are_in_the_order_of_the_split(runs: dict[str, Any]) -> None:
    """Each text has its own target and its own prediction, although batches are made by length."""
    known = {row["text"]: row for row in rows(240)}
    found = outcomes(runs["label"])
    assert [known[text]["label"] for text in found.texts] == [
        found.names[label] for label in found.targets
    ]
    assert found.scores is not None
    predictions = list(runs["label"].model.predict(found.texts))
    for prediction, scores in zip(predictions, found.scores, strict=True):
        np.testing.assert_allclose(list(prediction.scores.values()), scores, atol=1e-5)
    numbers = outcomes(runs["value"])
    assert [known[text]["value"] for text in numbers.texts] == numbers.targets.tolist()
    lengths = [len(text) for text in found.texts]
    assert lengths != sorted(lengths, reverse=True)  # As batches have them.


def test_characters_have_the_losses_of_the_evaluation(
    train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    run = train_here(
        "char-lm/gru", tmp_path / "run", "steps=5", "hidden_size=8", "embed_size=4", data=text_file
    )
    found = run.model.outcomes(text_file)
    metrics = run.model.evaluate(text_file)
    assert found.kind == "tokens"
    assert found.losses.mean() == pytest.approx(metrics["loss"], rel=1e-6)
    assert found.losses.mean() / math.log(2) == pytest.approx(metrics["bits_per_character"])
    text = text_file.read_text(encoding="utf-8")
    assert run.model.task.decode(found.targets) == text[-len(found.targets) :]


def test_predictions_follow_the_decisions_or_the_scores() -> None:
    scores = np.array([[0.4, 0.6], [0.7, 0.3]])
    plain = Outcomes("labels", ("a", "b"), np.array([0, 0]), scores, np.zeros(2))
    assert plain.predicted.tolist() == [1, 0]
    decided = Outcomes(
        "labels", ("a", "b"), np.array([0, 0]), scores, np.zeros(2), decisions=np.array([0, 0])
    )
    assert decided.predicted.tolist() == [0, 0]
    with pytest.raises(ValueError, match="no predictions"):
        _ = Outcomes("tokens", (), np.array([1]), None, np.zeros(1)).predicted


def test_the_tasks_score_their_examples(runs: dict[str, Any]) -> None:
    assert all(isinstance(run.model.task, ScoresExamples) for run in runs.values())
