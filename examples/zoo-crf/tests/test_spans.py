"""Spans and their scores against a walk over single words, and against figures made by hand."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from zoo_crf.scoring import SpanCounter, baseline_f1, f1_interval, span_metrics
from zoo_crf.spans import Span, allowed, spans_of, tag_set, tags_of

TYPES = ["LOC", "PER"]
TAGS = tag_set(TYPES, "bioes")


def walk(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Return the spans of tags as conlleval reads them: a word at a time, with one open span."""
    spans: list[list[int]] = []
    kinds: list[str] = []
    is_open = False
    for place, tag in enumerate(tags):
        letter, kind = tag[0], tag[2:]
        if letter == "O":
            is_open = False
        elif is_open and letter in "IE" and kinds[-1] == kind:
            spans[-1][1] += 1
            is_open = letter == "I"
        else:
            spans.append([place, place + 1])
            kinds.append(kind)
            is_open = letter in "BI"
    return {(kind, *place) for kind, place in zip(kinds, spans, strict=True)}  # type: ignore[misc]


def test_all_sequences_of_four_tags_have_the_spans_of_a_walk() -> None:
    for tags in itertools.product(TAGS, repeat=4):
        assert {tuple(span) for span in spans_of(tags)} == walk(tags)


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
def test_allowed_sequences_are_those_that_stand_for_spans(scheme: str) -> None:
    tags = tag_set(["A", "B"], scheme)
    rules = allowed(tags, scheme)
    for numbers in itertools.product(range(len(tags)), repeat=3):
        is_allowed = (
            rules.start[numbers[0]]
            and all(rules.transitions[a][b] for a, b in itertools.pairwise(numbers))
            and rules.end[numbers[-1]]
        )
        sequence = [tags[number] for number in numbers]
        assert is_allowed == (tags_of(spans_of(sequence), 3, scheme) == sequence)


def test_tags_of_other_schemes_have_the_same_spans() -> None:
    spans = [Span("PER", 0, 1), Span("PER", 1, 4), Span("LOC", 4, 5)]
    iob1 = ["I-PER", "B-PER", "I-PER", "I-PER", "I-LOC", "O"]
    bio = ["B-PER", "B-PER", "I-PER", "I-PER", "B-LOC", "O"]
    bioes = ["S-PER", "B-PER", "I-PER", "E-PER", "S-LOC", "O"]
    assert spans_of(iob1) == spans_of(bio) == spans_of(bioes) == spans
    assert tags_of(spans, 6, "bio") == bio
    assert tags_of(spans, 6, "bioes") == bioes


def sums_of(
    predicted: Sequence[Sequence[str]], true: Sequence[Sequence[str]]
) -> dict[str, torch.Tensor]:
    """Count rows of tags in one padded batch."""
    width = max(map(len, true)) + 2
    found, wanted = (
        torch.tensor(
            [[*(TAGS.index(tag) for tag in row), *[0] * (width - len(row))] for row in rows]
        )
        for rows in (predicted, true)
    )
    return SpanCounter(TAGS).count(found, wanted, baseline=found)


def test_scores_of_an_example_by_hand() -> None:
    # Of five true spans three are found; four are predicted, one of them is a word too long.
    true = ["B-PER I-PER O B-LOC O", "B-LOC B-LOC O", "O B-PER"]
    found = ["B-PER I-PER O B-LOC I-LOC", "B-LOC B-LOC O", "O O"]
    sums = sums_of([row.split() for row in found], [row.split() for row in true])
    metrics = span_metrics(sums, TYPES, 3)
    assert metrics["precision"] == 3 / 4
    assert metrics["recall"] == 3 / 5
    assert metrics["f1"] == pytest.approx(2 * 3 / 9)
    assert baseline_f1(sums) == metrics["f1"]
    assert metrics["types"]["values"] == [
        [2 / 3, 2 / 3, pytest.approx(2 / 3), 3],
        [1.0, 1 / 2, pytest.approx(2 / 3), 2],
    ]


def draw_rows(seed: int, count: int) -> tuple[list[list[str]], list[list[str]]]:
    """Return random tags, legal or not, and copies with errors that come in clusters."""
    draw = random.Random(seed)
    true, found = [], []
    for _ in range(count):
        row = [draw.choice(["O", *TAGS]) for _ in range(draw.randint(1, 15))]
        errors = draw.choice((0.0, 0.0, 0.1, 0.5))
        true.append(row)
        found.append([draw.choice(TAGS) if draw.random() < errors else tag for tag in row])
    return found, true


def test_counts_are_those_of_sets_of_spans_and_add_up() -> None:
    found, true = draw_rows(seed=1, count=300)
    right, predicted, wanted = Counter[str](), Counter[str](), Counter[str]()
    for one, other in zip(found, true, strict=True):
        right.update(kind for kind, *_ in walk(one) & walk(other))
        predicted.update(kind for kind, *_ in walk(one))
        wanted.update(kind for kind, *_ in walk(other))
    whole = sums_of(found, true)
    assert whole["right"].tolist() == [right[kind] for kind in TYPES]
    assert whole["predicted"].tolist() == [predicted[kind] for kind in TYPES]
    assert whole["true"].tolist() == [wanted[kind] for kind in TYPES]
    parts = sums_of(found[:70], true[:70]), sums_of(found[70:], true[70:])
    for name, value in whole.items():
        torch.testing.assert_close(parts[0][name] + parts[1][name], value)


def test_the_interval_is_that_of_a_bootstrap_over_sentences() -> None:
    found, true = draw_rows(seed=2, count=400)
    pairs = [(walk(one), walk(other)) for one, other in zip(found, true, strict=True)]
    counts = np.array([(2 * len(a & b), len(a) + len(b)) for a, b in pairs])
    rows = np.random.default_rng(1).integers(len(counts), size=(4000, len(counts)))
    hits, spans = counts[rows].sum(1).T
    expected = np.quantile(hits / spans, [0.025, 0.975])
    assert f1_interval(sums_of(found, true), len(counts)) == pytest.approx(expected, abs=0.004)


def test_the_interval_of_a_perfect_score_has_a_width() -> None:
    rows = [["B-PER"], ["O", "B-LOC"]] * 5
    low, high = f1_interval(sums_of(rows, rows), len(rows))
    # Wilson's interval of 10 of 10.
    assert low == pytest.approx(0.7225, abs=1e-4)
    assert high == 1.0


def test_no_spans_at_all_score_zero() -> None:
    metrics = span_metrics(sums_of([["O"]], [["O"]]), TYPES, 1)
    assert (metrics["f1"], metrics["f1_low"], metrics["f1_high"]) == (0.0, 0.0, 1.0)
