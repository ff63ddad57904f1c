"""The probe of the text tasks: what was learned cannot change without an answer that changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo.errors import WeightsError
from zoo.interfaces import ProbesTexts

SMALL = {"epochs": 1, "hidden_size": 4, "embed_size": 4, "test_size": 0.0}


def train(folder: Path, task: str, labels: list[Any], **settings: Any) -> Any:
    draw = random.Random(1)
    words = [f"w{n}" for n in range(300)]
    texts = [" ".join(draw.choices(words, k=30)) for _ in labels]
    run = zoo.fit(
        texts, labels, name=f"{task}/gru", out=folder / "run", progress=False,
        settings={**SMALL, "max_tokens": 20, **settings},
    )  # fmt: skip
    return run.model


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Any:
    labels = [f"label {n % 7}" for n in range(140)]
    return train(tmp_path_factory.mktemp("w"), "text-classification", labels, tokens="words")


def probed(model: Any) -> Any:
    texts = model.task.probe_texts()
    return model.task.probe_answers(model.module, texts)


def changed(model: Any, **state: Any) -> Any:
    """Return the probe of a task of which a part of the state is another."""
    task = type(model.task)(model.task.options)
    task.load_state_dict({**model.task.state_dict(), **state})
    return task.probe_answers(model.module, model.task.probe_texts())


def test_texts_have_words_from_all_over_the_vocabulary_and_one_is_too_long(words: Any) -> None:
    task: object = words.task
    assert isinstance(task, ProbesTexts)
    vocabulary = words.task.encoder.words
    texts = words.task.probe_texts()
    at = sorted({vocabulary.index(word) for word in " ".join(texts).split()})
    assert at[0] == 2
    assert at[-1] == len(vocabulary) - 1
    assert len(at) == 64
    assert max(b - a for a, b in pairwise(at)) < 10
    assert max(len(text.split()) for text in texts) == 21
    assert [len(row["token_ids"]) for row in probed(words)][-1] == 20


def test_two_words_or_two_labels_that_change_places_are_found(words: Any) -> None:
    before = probed(words)
    vocabulary, labels = words.task.encoder.words, words.task.labels
    for first in (2, 50, len(vocabulary) - 2):
        swapped = list(vocabulary)
        swapped[first], swapped[first + 1] = swapped[first + 1], swapped[first]
        assert changed(words, vocabulary=swapped) != before
    for first in range(6):
        swapped = list(labels)
        swapped[first], swapped[first + 1] = swapped[first + 1], swapped[first]
        assert changed(words, labels=swapped) != before
    assert changed(words) == before


@pytest.mark.parametrize("tokens", ["words", "subwords", "characters"])
@pytest.mark.parametrize(
    "other", [{"max_tokens": 19}, {"max_tokens": 0}, {"truncation": "head"}, {"truncation": "tail"}]
)
def test_another_truncation_changes_token_ids(
    words: Any, tokens: str, other: dict[str, Any]
) -> None:
    def token_ids(**options: Any) -> list[list[int]]:
        task = type(words.task)(replace(words.task.options, tokens=tokens, **options))
        task.encoder.set_words(words.task.encoder.words)
        encoded, _ = task.encoder.encode(words.task.probe_texts() if tokens == "words" else texts)
        rows = zip(encoded.starts, encoded.lengths, strict=True)
        return [encoded.values[start : start + length].tolist() for start, length in rows]

    texts = type(words.task)(replace(words.task.options, tokens=tokens)).probe_texts()
    assert token_ids() != token_ids(**other)


def test_a_number_is_probed_with_its_mean_and_deviation(tmp_path: Path) -> None:
    model = train(tmp_path, "text-regression", [n / 7 for n in range(100)])
    before = probed(model)
    values = [p.values[0] for p in model.predict(model.task.probe_texts())]
    mean, deviation = model.task.mean, model.task.deviation
    outputs = [row["outputs"][0] for row in before]
    assert values == pytest.approx([deviation * output + mean for output in outputs])
    assert changed(model, mean=mean + 1e-9) != before
    assert changed(model, deviation=deviation * 1.001) != before


def test_several_labels_are_probed(tmp_path: Path) -> None:
    labels = [["a"] if n % 3 else ["a", "b"] for n in range(90)]
    model = train(tmp_path, "text-multilabel", labels)
    before = probed(model)
    assert changed(model, labels=["b", "a"]) != before
    answers = [set(p.labels) for p in model.predict(model.task.probe_texts())]
    assert [set(row["answer"].split(" (")[0].split("|")) - {""} for row in before] == answers


def test_a_vocabulary_of_no_words_is_probed(words: Any) -> None:
    task = type(words.task)(words.task.options)
    task.encoder.set_words(["<pad>", "<unk>"])
    assert set(task.probe_texts()) == {""}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("use", ["predict", "probe"])
def test_outputs_that_are_not_finite_are_refused(
    words: Any, value: float, use: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bias = words.module.fc2.bias
    monkeypatch.setattr(bias, "data", torch.full_like(bias, value))
    uses: dict[str, Callable[[], object]] = {
        "predict": lambda: list(words.predict(["w1 w2"])), "probe": lambda: probed(words),
    }  # fmt: skip
    with pytest.raises(WeightsError, match="not finite"):
        uses[use]()
