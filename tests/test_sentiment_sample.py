"""The sample: the same reviews each time, and a label that depends on the order of the words."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_sentiment import PLAIN
from torch import nn

from zoo.engine.evaluation import evaluate
from zoo_sentiment.reviews import sample_reviews
from zoo_text.sample import sample
from zoo_text.tokens import tokenize


def test_it_is_the_same_in_every_process() -> None:
    script = (
        "import hashlib; from zoo_text.sample import sample;"
        "print(hashlib.sha256(repr(sample()).encode()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == hashlib.sha256(repr(sample()).encode()).hexdigest()


def test_it_has_thousands_of_reviews_of_both_labels_in_both_splits() -> None:
    reviews = sample_reviews().reviews
    assert len(reviews) >= 4000
    counts = Counter((review.part, review.label) for review in reviews)
    for part in ("train", "test"):
        assert counts[part, "pos"] / counts[part, "neg"] == pytest.approx(1, abs=0.15)
    assert len({review.text for review in reviews}) > 0.9 * len(reviews)


def counted(part: str, words: dict[str, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how often each word occurs in each review, and the labels."""
    reviews = [review for review in sample_reviews().reviews if review.part == part]
    counts = torch.zeros(len(reviews), len(words), dtype=torch.float64)
    for row, review in enumerate(reviews):
        for word in tokenize(review.text):
            if word in words:
                counts[row, words[word]] += 1
    return counts, torch.tensor([float(r.label == "pos") for r in reviews], dtype=torch.float64)


def test_counting_words_is_not_enough() -> None:
    reviews = sample_reviews().reviews
    known = {word for r in reviews if r.part == "train" for word in tokenize(r.text)}
    words = {word: number for number, word in enumerate(sorted(known))}
    counts, labels = counted("train", words)
    weight = torch.zeros(len(words), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    newton = torch.optim.LBFGS([weight, bias], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        newton.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(counts @ weight + bias, labels)
        loss = loss + 1e-4 * (weight**2).sum()
        loss.backward()
        return loss

    newton.step(closure)
    assert weight.grad is not None
    assert weight.grad.abs().max() < 1e-5
    tests, answers = counted("test", words)
    right = ((tests @ weight.detach() + bias.detach() > 0).double() == answers).double().mean()
    # Single words do say something about the label.
    assert 0.55 < right.item() < 0.75


def test_reading_in_order_is(train_here: Callable[..., Any], tmp_path: Path) -> None:
    run = train_here(
        "sentiment/lstm", tmp_path / "run", *PLAIN, "epochs=3", "learning_rate=0.01",
        "hidden_size=32", "schedule=one-cycle",
    )  # fmt: skip
    task, network = run.model.task, run.model.module
    test = task.prepare(None, 1, fit=False).splits["test"]
    metrics = evaluate(task, network, test)
    assert metrics["examples"] == 1200
    assert metrics["accuracy"] > 0.95
    # The same network cannot do it where the words are in random order.
    shuffled = evaluate(task, network, test.shuffle_steps(1))
    assert shuffled["accuracy"] < 0.8
