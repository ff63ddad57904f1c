"""Promises of the text tasks: any text is answered, alike alone and in a batch."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from promises import Promise

import zoo

ANSWERED = Promise(
    "A text of any characters and any length is answered: with finite probabilities that sum to "
    "one or a finite number, and alike alone and among others",
    quick=50,
    full=2000,
)
LONG = Promise(
    "A text of a million characters is answered, whatever they are",
    quick=6,
    full=48,
)
UNCHANGED = Promise(
    "A vocabulary, labels or a number that were changed change an answer of the probe",
    quick=100,
    full=5000,
)

SMALL = {"epochs": 1, "hidden_size": 4, "embed_size": 4, "test_size": 0.0, "max_tokens": 40}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "words": ("text-classification", {"tokens": "words"}),
    "words alone": ("text-classification", {"tokens": "words", "ngram_weight": 0.0}),
    "subwords": ("text-classification", {"tokens": "subwords"}),
    "characters": ("text-classification", {"tokens": "characters"}),
    "several": ("text-multilabel", {"tokens": "subwords"}),
    "numbers": ("text-regression", {"tokens": "subwords"}),
}


def labels_of(task: str, number: int) -> list[Any]:
    if task == "text-regression":
        return [n % 13 / 4 for n in range(number)]
    if task == "text-multilabel":
        return [["a"] if n % 3 else ["a", "b c"] for n in range(number)]
    return [f"label {n % 3}" for n in range(number)]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return trained(tmp_path_factory.mktemp("run"), request.param)


def trained(folder: Path, kind: str) -> Any:
    task, options = KINDS[kind]
    draw = random.Random(1)
    words = ["good", "bad", "film", "很好", "не", "été", ":)", "x" * 30, "10", "naïve"]
    texts = [" ".join(draw.choices(words, k=12)) for _ in range(90)]
    run = zoo.fit(
        texts, labels_of(task, 90), name=f"{task}/gru", out=folder / "run",
        settings={**SMALL, **options}, progress=False, threads=1,
    )  # fmt: skip
    return run.model


# Any code point, also of no character, and half of a pair of UTF-16.
CHARACTERS = st.characters() | st.characters(categories=["Cs", "Cc", "Cf", "Co", "Mn"])
PIECES = st.sampled_from(
    ["good", "bad", "<", "<br />", ":-)", "\x00", "\ud800", "\u202e", "é", " "]
)
TEXTS = st.one_of(
    st.text(CHARACTERS, max_size=80),
    st.lists(PIECES, max_size=30).map("".join),
    st.builds(lambda piece, number: piece * number, PIECES, st.sampled_from([0, 41, 3000])),
    st.builds(lambda text, number: text * number, st.text(CHARACTERS, max_size=5), st.just(2000)),
)


def numbers_of(answer: Any) -> list[float]:
    return list(answer.values) if hasattr(answer, "values") else list(answer.scores.values())


@settings(
    max_examples=max(ANSWERED.cases // len(KINDS), 1), deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@example(texts=["", " ", "\x00", "\ud800", "Ωψξ", "<" * 3000])
@given(texts=st.lists(TEXTS, min_size=1, max_size=6))
def test_any_text_is_answered(model: Any, texts: list[str]) -> None:
    together = list(model.predict(texts))
    assert [answer.text for answer in together] == texts
    for text, answer in zip(texts, together, strict=True):
        found = numbers_of(answer)
        assert all(math.isfinite(number) for number in found)
        assert 0 <= answer.known <= 1
        if hasattr(answer, "label"):
            assert sum(found) == pytest.approx(1, abs=1e-5)
            assert answer.probability == answer.scores[answer.label]
        (alone,) = model.predict([text])
        assert numbers_of(alone) == pytest.approx(found, abs=1e-4)
        assert alone.known == answer.known


REPEATED = ["word ", "<", "a", "<a", "\x00", "好", "\ud800", "😀 "]


@pytest.mark.parametrize("text", REPEATED[: LONG.cases // len(KINDS)])
def test_a_million_characters_are_answered(model: Any, text: str) -> None:
    (answer,) = model.predict([text * (1_000_000 // len(text))])
    assert all(math.isfinite(number) for number in numbers_of(answer))


def test_what_was_learned_cannot_change_unseen(tmp_path: Path) -> None:
    for kind in ("words", "several", "numbers"):
        model = trained(tmp_path / kind, kind)
        task, texts = model.task, model.task.probe_texts()
        before = task.probe_answers(model.module, texts)
        for seed in range(UNCHANGED.cases // 3):
            state = task.state_dict()
            changed(state, random.Random(seed))
            other = type(task)(task.options)
            other.load_state_dict(state)
            assert other.probe_answers(model.module, texts) != before, (kind, seed)


def changed(state: dict[str, Any], draw: random.Random) -> None:
    """Change a part of what was learned, as a fault in a file would, of the same form."""
    name = draw.choice([n for n in ("vocabulary", "labels", "mean", "deviation") if n in state])
    if isinstance(state[name], float):
        state[name] *= 1 + draw.choice([-1, 1]) * 10 ** draw.uniform(-12, 0)
        return
    values = list(state[name])
    first, second = draw.sample(range(len(values)), 2)
    if draw.random() < 0.5:
        values[first], values[second] = values[second], values[first]
    else:
        values[first] += draw.choice("xyz")
    state[name] = values
