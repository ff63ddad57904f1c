"""The linear model of n-grams, against scikit-learn's."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn

from zoo_text.lbfgs import C, compressed, minimise
from zoo_text.linear import NGramLinear, NGramSizes, choose_sizes, column_scales
from zoo_text.ngrams import Counts, character_ngrams, word_ngrams

TEXTS = [
    "Good food, good wine!",
    "  The   WORST service ever :( ",
    "好吃、下次再来",
    "",
    "na na na",
    "Ünïcode and emoji 🙂🙂",
    "good service",
]


def of_words(text: str, longest: int) -> list[str]:
    words = re.findall(r"\w+|[^\w\s]", text.lower())
    sizes = range(1, longest + 1)
    return [" ".join(words[i : i + n]) for n in sizes for i in range(len(words) - n + 1)]


def of_characters(text: str, longest: int) -> list[str]:
    marked = f"\x02{' '.join(text.lower().split())}\x03"
    sizes = range(1, longest + 1)
    return [marked[i : i + n] for n in sizes for i in range(len(marked) - n + 1)]


def per_text(counts: Counts, text: int) -> list[int]:
    return sorted(counts.counts[counts.texts == text].tolist())


@pytest.mark.parametrize(
    ("count", "split", "longest"),
    [(word_ngrams, of_words, 3), (character_ngrams, of_characters, 5)],
)
def test_ngrams_are_counted_as_by_scikit_learn(count: Any, split: Any, longest: int) -> None:
    found = count(TEXTS, longest)
    expected = CountVectorizer(analyzer=lambda text: split(text, longest)).fit_transform(TEXTS)
    assert found.num_texts == len(TEXTS)
    assert len(np.unique(found.keys)) == expected.shape[1]
    for text in range(len(TEXTS)):
        assert per_text(found, text) == sorted(expected[text].data.tolist())


def test_the_same_ngram_has_the_same_key_in_every_text() -> None:
    found = word_ngrams(["good food", "such good food"], 2)
    first = set(found.keys[found.texts == 0])
    assert first < set(found.keys[found.texts == 1])


@pytest.mark.parametrize(("sizes", "split"), [((2, 0), of_words), ((0, 4), of_characters)])
def test_features_are_those_of_a_tfidf_vectorizer(sizes: tuple[int, int], split: Any) -> None:
    longest = max(sizes)
    ngrams = NGramSizes(*sizes).ngrams(TEXTS)
    model = NGramLinear.fit(ngrams, len(TEXTS), lambda outputs: outputs.sum() * 0, torch.zeros(1))
    rows, columns, values = model.features(ngrams, len(TEXTS))
    ours = np.zeros((len(TEXTS), len(model.keys)))
    ours[rows, columns] = values
    vectorizer = TfidfVectorizer(
        analyzer=lambda text: split(text, longest), sublinear_tf=True, min_df=2
    )
    theirs = vectorizer.fit_transform(TEXTS).toarray()
    assert ours.shape == theirs.shape
    # Columns are in another order: inner products of texts are not.
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-6)


def test_weights_are_those_of_scikit_learns_logistic_regression() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(200, 12)).astype(np.float32)
    features[np.abs(features) < 0.7] = 0
    labels = (features[:, :3] @ [1.0, -2, 0.5] + generator.normal(size=200)).argsort() % 3
    rows, columns = np.nonzero(features)
    targets = torch.from_numpy(labels)
    weight, bias = minimise(
        compressed(
            torch.from_numpy(rows), torch.from_numpy(columns),
            torch.from_numpy(features[rows, columns]), features.shape,
        ),
        lambda outputs: nn.functional.cross_entropy(outputs, targets, reduction="sum"),
        torch.zeros(12, 3), torch.zeros(3),
    )  # fmt: skip
    theirs = LogisticRegression(C=C, max_iter=1000, tol=1e-8).fit(features, labels)
    # A constant that is added to all labels changes no probability.
    ours = (torch.from_numpy(features) @ weight + bias).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(features), atol=2e-3)


def test_scales_are_the_fourth_root_of_the_smoothed_divergence() -> None:
    rows, columns = torch.tensor([0, 1, 2, 2]), torch.tensor([0, 0, 0, 1])
    classes = torch.tensor([[1.0, 0], [1, 0], [0, 1]])
    prior = np.array([3, 2]) / 5
    expected = []
    for number, having in ((3, [2, 1]), (1, [0, 1])):
        share = (np.array(having) + 10 * prior) / (number + 10)
        expected.append((share * np.log(share / prior)).sum() ** 0.25)
    features = compressed(rows, columns, torch.rand(4), (3, 2))
    np.testing.assert_allclose(column_scales(features, classes.numpy()), expected, rtol=1e-4)


def test_ngrams_that_were_not_seen_leave_the_bias() -> None:
    ngrams = NGramSizes(1, 0).ngrams(["a b", "a c", "b c"])
    targets = torch.tensor([1.0, 0, 1])

    def loss(outputs: torch.Tensor) -> torch.Tensor:
        return nn.functional.binary_cross_entropy_with_logits(
            outputs[:, 0], targets, reduction="sum"
        )

    model = NGramLinear.fit(ngrams, 3, loss, torch.zeros(1))
    outputs = model(NGramSizes(1, 0).ngrams(["x y z", ""]), 2)
    torch.testing.assert_close(outputs, model.bias.expand(2, 1))


def test_sizes_suit_names_spaceless_languages_and_long_texts() -> None:
    assert choose_sizes(["Nguyen", "O'Brien"]) == (0, 5)
    assert choose_sizes(["这家酒店的房间很小、早餐也不好"]) == (0, 5)
    assert choose_sizes(["a film to remember"]) == (3, 5)
    assert choose_sizes(["word " * 500_000] * 4) == (2, 0)
