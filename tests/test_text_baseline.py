"""The linear baseline: beside every test of a training, whatever the network is made of."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

import zoo
from zoo.data.ragged import Ragged
from zoo_text import baseline
from zoo_text.baseline import hashed_outputs

FAST = {"epochs": 1, "hidden_size": 4, "embed_size": 4, "ngram_weight": 0.0}


def texts_of(number: int) -> list[str]:
    draw = random.Random(2)
    words = [f"w{n}" for n in range(60)]
    return [" ".join(draw.choices(words, k=draw.randrange(1, 30))) for _ in range(number)]


def fit(folder: Path, task: str, labels: list[Any], **settings: Any) -> zoo.Run:
    return zoo.fit(
        texts_of(len(labels)), labels, name=f"{task}/gru", out=folder / "run",
        settings={**FAST, **settings}, progress=False,
    )  # fmt: skip


@pytest.mark.parametrize("tokens", ["words", "subwords", "characters"])
def test_a_network_without_a_linear_part_is_compared_with_one(tmp_path: Path, tokens: str) -> None:
    labels = ["long" if len(text) > 45 else "short" for text in texts_of(200)]
    run = fit(tmp_path, "text-classification", labels, tokens=tokens)
    assert run.test is not None
    assert 0.6 < run.test["baselines"]["linear"] <= 1
    assert "the linear baseline" in run.verdict[1]
    assert not [name for name, _ in run.model.module.named_buffers() if "linear." in name]
    # An evaluation later is not slowed down by it.
    assert run.model.evaluate(run.config["data"])["baselines"].keys() == {"majority"}


def test_texts_of_many_words_are_compared_by_their_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = ["long" if len(text) > 45 else "short" for text in texts_of(200)]
    monkeypatch.setattr(baseline, "MAX_TOKENS", 0)
    run = fit(tmp_path, "text-classification", labels, tokens="words")
    assert run.test is not None
    assert run.test["baselines"]["linear"] > 0.6


def test_numbers_and_several_labels_are_compared_too(tmp_path: Path) -> None:
    texts = texts_of(200)
    numbers = fit(tmp_path / "a", "text-regression", [len(t.split()) + 0.5 for t in texts]).test
    assert numbers is not None
    assert numbers["baselines"]["linear"] < numbers["baselines"]["mean"]
    tags = [[f"t{n}" for n in range(5) if f"w{n}" in t.split()] or ["none"] for t in texts]
    several = fit(tmp_path / "b", "text-multilabel", tags).test
    assert several is not None
    # By the threshold that is best on validation, as the network: rare labels are above no half.
    assert several["baselines"]["linear"] > several["baselines"]["majority"]


def test_recipes_of_words_are_compared_with_a_linear_baseline(tmp_path: Path) -> None:
    run = zoo.train("sample-lstm", out=tmp_path / "run", settings={"steps": 2}, progress=False)
    assert run.test is not None
    assert run.test["baselines"].keys() == {"majority", "linear"}


class Labels:
    """The targets of a logistic regression, as a task has them."""

    def __init__(self, classes: bool) -> None:
        self.classes = classes

    def losses(self, outputs: Tensor, targets: Tensor, **_: Any) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(
            outputs[:, 0], targets.float(), reduction="none"
        )

    def initial_bias(self) -> Tensor:
        return torch.zeros(1)

    def scaling_classes(self, targets: Tensor) -> Tensor | None:
        return nn.functional.one_hot(targets).float() if self.classes else None


def test_hashed_words_and_pairs_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo_text.lbfgs.TOLERANCE", 1e-7)
    texts = texts_of(300)
    telling = {f"w{n}" for n in range(5)}
    targets = np.array([bool(telling & set(text.split())) for text in texts], np.int64)
    rows = [np.array([int(word[1:]) + 2 for word in text.split()]) for text in texts]
    ids = Ragged.of(rows, np.arange(300))
    train, rest = np.arange(200), np.arange(200, 300)
    plain: Any = Labels(classes=False)
    found = hashed_outputs(plain, ids, targets, train, rest)[:, 0]
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"\w+")
    theirs = LogisticRegression(C=10, max_iter=2000, tol=1e-8).fit(
        vectorizer.fit_transform(texts[:200]), targets[:200]
    )
    expected = theirs.decision_function(vectorizer.transform(texts[200:]))
    # A few columns are shared.
    assert np.median(np.abs(found.numpy() - expected)) < 0.05
    assert np.corrcoef(found.numpy(), expected)[0, 1] > 0.99
    by_label: Any = Labels(classes=True)
    scaled = hashed_outputs(by_label, ids, targets, train, rest)[:, 0]
    assert ((scaled > 0).numpy() == targets[rest]).mean() > 0.7
