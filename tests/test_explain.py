"""Explanations add up, agree with other implementations, and point at the words as written."""

from __future__ import annotations

import math
import random
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import zoo
from zoo.errors import DataError, UsageError
from zoo.interfaces import Explains, Explanation, Explanations, Piece
from zoo_text.explaining import NODES
from zoo_text.integrated_gradients import integrated_gradients
from zoo_text.linear import NGramLinear, NGramSizes
from zoo_text.linear_shares import linear_shares
from zoo_text.ngrams import character_ngrams, locate_characters, locate_words, word_ngrams
from zoo_text.spans import Pieces
from zoo_text.subwords import character_spans, characters, word_spans, words
from zoo_text.tokens import token_spans, tokenize

GOOD, BAD = ("lovely", "warm", "superb", "tasty"), ("awful", "cold", "soggy", "stale")
DISHES = ("soup", "bread", "rice", "curry", "salad", "cake")
TEXTS = (
    "The soup was lovely and warm, the cake soggy :-)",
    "Not <br /> awful!",
    "warm",
    "bread " * 60 + "awful " * 60,
    "\u0130stanbul: tasty curry\n\nand  \u00dcber-salad \u2014 not cold",
    "",
    " \t ",
    "Qqq",
)
POOLINGS = ("last", "mean", "max", "last+mean+max")
TOKENS = ("words", "subwords", "characters")
FAST = {"steps": 40, "hidden_size": 8, "embed_size": 8, "max_tokens": 50}


def table(folder: Path, task: str) -> Path:
    """Write meals with a verdict, with the words for it, or with a number."""
    draw = random.Random(3)
    lines = ["review\tverdict"]
    for number in range(120):
        chosen = draw.choices((GOOD, BAD)[number % 2], k=2)
        label = {
            "text-classification": ("good", "bad")[number % 2],
            "text-multilabel": "|".join(sorted({*chosen[:1], ("good", "bad")[number % 2]})),
            "text-regression": str(round(draw.gauss((4, 2)[number % 2], 0.5), 2)),
        }[task]
        lines.append(f"The {draw.choice(DISHES)} was {' and '.join(chosen)}, {number}\t{label}")
    path = folder / "meals.tsv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def train(folder: Path, name: str = "text-classification/bilstm", **settings: Any) -> Any:
    """Train for a few steps; return the model."""
    data = table(folder, name.partition("/")[0])
    run = zoo.train(
        name, data, out=folder / "run", settings={**FAST, **settings}, progress=False, threads=1
    )
    return run.model


def randomize(module: nn.Module) -> None:
    """Give a network random weights, far larger than those of a training."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.7)


def check_sum_rule(explanations: list[Explanation]) -> None:
    for explanation in explanations:
        total = explanation.base + math.fsum(piece.value for piece in explanation.pieces)
        allowed = max(0.01 * abs(explanation.score - explanation.base), 0.01)
        assert abs(total - explanation.score) <= allowed, explanation


@pytest.fixture(scope="module")
def meals(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return train(tmp_path_factory.mktemp("meals"), epochs=6)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("tokens", TOKENS)
def test_base_and_pieces_add_up_to_the_score(tokens: str, pooling: str, tmp_path: Path) -> None:
    model = train(tmp_path, tokens=tokens, pooling=pooling, fc_size=6)
    check_sum_rule(model.explain(TEXTS))
    randomize(model.module)
    check_sum_rule(model.explain(TEXTS))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("text-multilabel/gru", {"labels": "multilabel"}),
        ("text-regression/bigru", {"ngram_weight": 0.3}),
        ("sentiment/rnn", {"tokens": "words", "ngram_weight": 0.0, "ngram_bits": 8}),
        ("sentiment/lstm", {"tokens": "words", "ngram_weight": 0.4, "ngram_bits": 8}),
        ("sentiment/lstm", {"tokens": "words", "ngram_weight": 0.0, "input": "onehot"}),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_they_do_for_every_task_and_every_part_of_a_network(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    task = name.partition("/")[0]
    data = table(tmp_path, "text-classification" if task == "sentiment" else task)
    run = zoo.train(
        name, data, out=tmp_path / "run", settings={**FAST, **settings}, progress=False, threads=1
    )
    randomize(run.model.module)
    check_sum_rule(run.model.explain(TEXTS))


def test_the_score_is_that_of_the_prediction(meals: Any, tmp_path: Path) -> None:
    for explanation, answer in zip(meals.explain(TEXTS), meals.predict(TEXTS), strict=True):
        assert explanation.target == answer.label
        odds = answer.probability / (1 - answer.probability)
        assert explanation.score == pytest.approx(math.log(odds), abs=1e-3)
    number = train(tmp_path, "text-regression/bigru")
    for explanation, answer in zip(number.explain(TEXTS), number.predict(TEXTS), strict=True):
        assert explanation.target == ""
        assert explanation.score == pytest.approx(answer.values[0], abs=1e-4)


def test_of_two_labels_one_takes_what_the_other_is_given(meals: Any) -> None:
    (good,), (bad,) = (meals.explain(TEXTS[:1], target=label) for label in ("good", "bad"))
    assert (good.score, good.base) == (-bad.score, -bad.base)
    assert [piece.value for piece in good.pieces] == [-piece.value for piece in bad.pieces]


def test_the_softmax_of_the_scores_of_three_labels_are_their_probabilities(tmp_path: Path) -> None:
    path = table(tmp_path, "text-classification")
    lines = path.read_text().splitlines()
    third = [line.replace("good", "fine") if n % 3 else line for n, line in enumerate(lines)]
    path.write_text("\n".join(third))
    run = zoo.train(
        "text-classification/gru", path, out=tmp_path / "run", settings=FAST, progress=False,
        threads=1,
    )  # fmt: skip
    model: Any = run.model
    (answer,) = model.predict(TEXTS[:1])
    scores = [model.explain(TEXTS[:1], target=label)[0].score for label in answer.scores]
    shares = torch.tensor(scores).softmax(0).tolist()
    assert shares == pytest.approx(list(answer.scores.values()), abs=1e-5)


@pytest.mark.parametrize("pooling", ["last", "last+mean+max"])
def test_integrated_gradients_are_those_of_captum(pooling: str, tmp_path: Path) -> None:
    model = train(tmp_path, pooling=pooling)
    network: Any = model.module
    randomize(network)
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(3, 16, 8, generator=generator)
    lengths = torch.tensor([16, 9, 1])
    padding = torch.arange(16)[None] >= lengths[:, None]
    inputs = inputs.masked_fill(padding[..., None], 0)
    baseline = torch.zeros_like(inputs)

    def score(vectors: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = network.forward_vectors(vectors, lengths[row])[:, 0]
        return scores

    def forward(vectors: torch.Tensor) -> torch.Tensor:
        return score(vectors, torch.arange(len(vectors)) % 3)

    other = IntegratedGradients(forward).attribute(
        inputs, baseline, n_steps=NODES[0], method="gausslegendre"
    )
    found = integrated_gradients(score, inputs, baseline, NODES[0])
    torch.testing.assert_close(found.float(), other.sum(2).float(), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("tokens", TOKENS)
def test_the_path_with_gradients_computes_what_predictions_do(tokens: str, tmp_path: Path) -> None:
    model = train(tmp_path, tokens=tokens)
    randomize(model.module)
    split = model.task.split(list(TEXTS), np.arange(len(TEXTS)))
    for batch in split.eval_batches():
        with torch.no_grad():
            embedded = model.module(
                batch.inputs, batch.lengths, units=batch.units, starts=batch.starts
            )[0]  # fmt: skip
        vectors = model.module.token_vectors(batch)
        computed = model.module.forward_vectors(vectors, batch.lengths)
        torch.testing.assert_close(computed, embedded, atol=1e-4, rtol=1e-5)


def test_without_the_strongest_words_the_score_moves_as_the_explanation_says(meals: Any) -> None:
    texts = ["The soup was lovely and the rice was cold", "Superb cake, stale bread", "Not awful?"]
    for explanation in meals.explain(texts, target="good"):
        (piece,) = explanation.strongest(1)
        assert explanation.text[piece.start : piece.end].lower() in {*GOOD, *BAD}
        text = explanation.text[: piece.start] + explanation.text[piece.end :]
        (without,) = meals.explain([text], target="good")
        assert (explanation.score - without.score) * piece.value > 0, explanation


def test_texts_are_explained_alike_alone_and_together(meals: Any) -> None:
    together = meals.explain(TEXTS)
    for text, explanation in zip(TEXTS, together, strict=True):
        (alone,) = meals.explain([text])
        assert explanation.text == text
        assert [p.start for p in alone.pieces] == [p.start for p in explanation.pieces]
        values = [[p.value for p in each.pieces] for each in (alone, explanation)]
        assert values[0] == pytest.approx(values[1], abs=2e-3)


@pytest.mark.parametrize("text", ["", "  ", "\u03a9\u03a9\u03a9", "\x00"])
def test_a_text_of_which_nothing_is_known_has_the_base_as_its_score(text: str, meals: Any) -> None:
    (explanation,) = meals.explain([text])
    assert explanation.score == explanation.base
    assert not explanation.strongest_value


def test_words_that_are_not_read_are_no_pieces(tmp_path: Path) -> None:
    model = train(tmp_path, ngram_weight=0.0, max_tokens=4, truncation="head+tail")
    (explanation,) = model.explain(["soup bread rice lovely curry cake"])
    shown = [explanation.text[p.start : p.end] for p in explanation.pieces]
    assert shown == ["soup", "bread", "curry", "cake"]


def test_explaining_leaves_the_network_as_it_was(meals: Any) -> None:
    before = {name: value.clone() for name, value in meals.module.state_dict().items()}
    with torch.inference_mode():
        meals.explain(TEXTS)
    for name, value in meals.module.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in meals.module.parameters())


def test_a_label_has_to_be_one_of_the_training(meals: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no label 'great'; labels are bad, good"):
        meals.explain(TEXTS, target="great")
    with pytest.raises(UsageError, match="predicts a number"):
        train(tmp_path, "text-regression/bigru").explain(TEXTS, target="good")
    with pytest.raises(TypeError, match="several texts"):
        meals.explain("lovely")


# Where the words are


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40) | st.text(" <b>:-)aB.\u0130\n"))
def test_spans_are_those_of_the_tokens(text: str) -> None:
    def cut(spans: list[tuple[int, int]]) -> list[str]:
        return [text[start:end] for start, end in spans]

    assert cut(word_spans(text)) == words(text)
    middle = [token[1] for token in characters(text)]
    assert [" " if each.isspace() else each for each in cut(character_spans(text))] == middle
    spans = token_spans(text)
    assert len(spans) == len(tokenize(text))
    for part, token in zip(cut(spans), tokenize(text), strict=True):
        assert token in part.lower() or part.lower().replace("-", "") == token


@given(st.text(max_size=30) | st.text("ab \u0130.", max_size=30))
def test_located_ngrams_are_those_that_are_counted(text: str) -> None:
    for count, locate in ((word_ngrams, locate_words), (character_ngrams, locate_characters)):
        counted = count([text], 3)
        found = locate(text, 3)
        pairs = zip(counted.keys.tolist(), counted.counts.tolist(), strict=True)
        assert Counter(found.keys.tolist()) == dict(pairs)


# The linear parts


def one_ngram(text: str, sizes: NGramSizes, size: int, start: int) -> NGramLinear:
    """Return a linear model with a bias of 0.5 and one n-gram, of weight 2: one of a text."""
    located = locate_words(text, 3) if sizes.words else locate_characters(text, 3)
    (chosen,) = np.flatnonzero((located.sizes == size) & (located.starts == start))
    linear = NGramLinear(1, 1)
    linear.keys[0], linear.idf[0], linear.weight[0, 0] = int(located.keys[chosen]), 3.0, 2.0
    linear.bias[0] = 0.5
    return linear


@pytest.mark.parametrize(
    ("size", "start", "values"),
    [
        (1, 1, [0, 1, 0, 1, 0]),  # bad, twice
        (2, 0, [1, 1, 0, 0, 0]),  # not bad
        (3, 1, [0, 2 / 3, 2 / 3, 2 / 3, 0]),  # bad, bad
    ],
)
def test_an_ngram_of_words_is_divided_among_its_words(
    size: int, start: int, values: list[float]
) -> None:
    # The only n-gram that is known has the value 1 after normalization.
    text, sizes = "Not bad, bad!", NGramSizes(3, 0)
    linear = one_ngram(text, sizes, size, start)
    pieces = Pieces(text, "words", with_marks=True)
    assert [text[s:e] for s, e in pieces.spans] == ["Not", "bad", ",", "bad", "!"]
    shares, rest = linear_shares(linear, sizes, text, 0, pieces)
    assert shares == pytest.approx(values)
    assert rest == 0.5


@pytest.mark.parametrize(
    ("size", "start", "values", "rest"),
    [
        (1, 1, [2, 0], 0.5),  # a
        (3, 2, [1, 1], 0.5),  # `b c`: its space is in no word
        (2, 4, [0, 2], 0.5),  # cd
        (3, 4, [0, 2], 0.5),  # cd and the end
        (1, 3, [0, 0], 2.5),  # the space
        (1, 0, [0, 0], 2.5),  # the start
    ],
)
def test_an_ngram_of_characters_is_divided_among_the_words_that_it_covers(
    size: int, start: int, values: list[float], rest: float
) -> None:
    text, sizes = "AB  cd ", NGramSizes(0, 3)
    linear = one_ngram(text, sizes, size, start)
    found = linear_shares(linear, sizes, text, 0, Pieces(text, "subwords", with_marks=True))
    assert found[0] == pytest.approx(values)
    assert found[1] == pytest.approx(rest)


def test_a_hashed_pair_is_divided_among_its_words() -> None:
    from zoo_text.hashed_ngrams import HashedNGrams

    ngrams = HashedNGrams(12, 2)
    token_ids = torch.tensor([7, 8, 9, 7, 8])
    pair = int(ngrams.buckets(token_ids[None])[0, 5])  # 7 8, which is there twice
    with torch.no_grad():
        ngrams.weight[pair, 1] = 0.6
        total = ngrams(token_ids[None], torch.tensor([5]))[0, 1].item()
    shares = ngrams.shares(token_ids, 1).tolist()
    assert total > 0
    assert shares == pytest.approx([total / 4, total / 4, 0, total / 4, total / 4])
    assert ngrams.shares(token_ids, 0).tolist() == [0] * 5


# Language models


def test_the_surprise_of_a_character_is_its_negative_log_probability(char_lm_run: Path) -> None:
    model: Any = zoo.load(char_lm_run)
    texts = ["The 3th sailor", "", "gulls, 7 ships.\n" * 400, "s"]
    explanations = model.explain(texts)
    step = model.task.decode_step(model.module)
    for text, explanation in zip(texts, explanations, strict=True):
        last, state = model.task.start_token(), None
        expected = []
        for token in model.task.encode(text[:40]):
            with torch.inference_mode():
                logits, state = step(torch.tensor([last]), state)
            expected.append(-logits[0].log_softmax(0)[token].item())
            last = token
        values = [piece.value for piece in explanation.pieces]
        assert values[:40] == pytest.approx(expected, abs=1e-3)
        assert len(values) == len(text)
        assert (explanation.base, explanation.unit) == (0.0, "nats")
        assert explanation.score == pytest.approx(math.fsum(values))
        assert all(p.end == p.start + 1 for p in explanation.pieces)


def test_a_language_model_has_no_labels_and_knows_its_characters_alone(char_lm_run: Path) -> None:
    model: Any = zoo.load(char_lm_run)
    with pytest.raises(UsageError, match="a language model has none"):
        model.explain(["The"], target="pos")
    with pytest.raises(DataError, match="lacks '\u00e4' in the text"):
        model.explain(["The \u00e4"])


# How they show themselves


def explanation(text: str, *values: float, unit: str = "logit") -> Explanation:
    """Return an explanation of the words of a text."""
    pieces = tuple(
        Piece(start, end, value)
        for (start, end), value in zip(word_spans(text), values, strict=True)
    )
    score = 0.25 + sum(values)
    return Explanation(text, "a<b", score, 0.25, unit, pieces, "by hand")


def test_as_text_the_strongest_words_have_their_value_beside_them() -> None:
    shown = str(explanation("not bad\x1b[2J at all", 0.9, -0.5, 0, 0, 0, 0.01, 0))
    assert shown == (
        "a<b: logit +0.66 = base +0.25 + words +0.41\n"
        "  not[+0.90] bad[-0.50]\N{REPLACEMENT CHARACTER}[2J at all"
    )
    small = explanation("tiny", 0.00123)
    assert small.format(0.00123) == "+0.0012"


class Spans(HTMLParser):
    """Collects the text of a document, and the titles and styles of its spans."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.text, self.spans, self.tags = "", [], set[str]()  # type: ignore[var-annotated]
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "span":
            self.spans.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_as_html_everything_is_escaped_and_every_piece_has_its_value() -> None:
    text = "<script>alert(1)</script> & good"
    values = [0.5] * 12 + [-1.0]
    made = explanation(text, *values)
    found = Spans(made._repr_html_())
    assert text in found.text
    assert "a<b" in found.text
    assert found.tags == {"div", "span"}
    assert [span["title"] for span in found.spans[:13]] == ["+0.50"] * 12 + ["-1.00"]
    colours = [span["style"].partition(";")[0] for span in found.spans[:13]]
    assert len(set(colours[:-1])) == 1
    assert colours[-1] != colours[0]


def test_a_list_shows_itself_in_a_notebook() -> None:
    made = Explanations([explanation("good", 1.0), explanation("bad", -1.0)])
    assert made._repr_html_().count("base") == 2
    assert str(made).count("\n") == 3
    assert made == [explanation("good", 1.0), explanation("bad", -1.0)]


def test_the_tasks_say_that_they_explain(meals: Any, char_lm_run: Path) -> None:
    assert isinstance(meals.task, Explains)
    assert isinstance(zoo.load(char_lm_run).task, Explains)
