"""``zoo compare``: its tests against formulae computed here, its scores against evaluations."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from scipy.stats import bootstrap
from sum_task import registered

from zoo.errors import DataError, UsageError
from zoo.interfaces import Outcomes
from zoo_runs import compare
from zoo_runs.comparison import Comparison, Score
from zoo_runs.significance import mcnemar, paired_bootstrap

Train = Callable[..., Any]

SMALL = ("embed_size=8", "steps=40")
KINDS = {
    "label": ("text-classification", "accuracy"),
    "labels": ("text-multilabel", "f1_micro"),
    "value": ("text-regression", "mae"),
}


def write_table(path: Path, target: str, count: int = 300) -> Path:
    """Write texts that tell a label, several labels or a number, though not always."""
    draw = random.Random(3)
    lines = []
    for number in range(count):
        label = draw.choice(["a", "b", "c"])
        told = label if draw.random() < 0.7 else draw.choice(["a", "b", "c"])
        words = [f"w{told}", *(draw.choice("defgh") for _ in range(number % 7)), str(number)]
        targets = {"label": label, "labels": [label, "x"][: 1 + number % 2], "value": number % 7}
        lines.append(json.dumps({"text": " ".join(words), "label": targets[target]}))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, train_here: Train) -> dict[str, Any]:
    """Return two runs of each kind, of different sizes on the same data."""
    folder = tmp_path_factory.mktemp("compare")
    found: dict[str, Any] = {}
    for target, (task, _) in KINDS.items():
        data = write_table(folder / f"{target}.jsonl", target)
        found[target] = [
            train_here(
                f"{task}/gru", folder / f"{target}-{size}", *SMALL, f"hidden_size={size}",
                *(["ngram_weight=0"] if size == 2 else []), data=data,
            )
            for size in (2, 8)
        ]  # fmt: skip
    return found


def exact(only_first: int, only_second: int) -> float:
    """Return the probability of a split at least as uneven, if each is as likely as the other."""
    disagree, less = only_first + only_second, min(only_first, only_second)
    tail: int = sum(math.comb(disagree, k) for k in range(less + 1))
    return min(1.0, 2 * tail / float(2**disagree))


def corrected(only_first: int, only_second: int) -> float:
    """Return the tail of chi² with one degree of freedom, which is that of a squared normal."""
    chi2 = (abs(only_first - only_second) - 1) ** 2 / (only_first + only_second)
    return math.erfc(math.sqrt(chi2 / 2))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (0, 6), (3, 12), (12, 12), (2, 22)])
def test_mcnemar_is_exact_for_few_examples(first: int, second: int) -> None:
    assert mcnemar(first, second) == pytest.approx(exact(first, second))
    assert mcnemar(first, second) == mcnemar(second, first)


@pytest.mark.parametrize(
    ("first", "second"), [(10, 15), (59, 121), (300, 340), (13, 12), (150, 86)]
)
def test_mcnemar_is_that_of_chi_squared_for_many(first: int, second: int) -> None:
    assert mcnemar(first, second) == pytest.approx(corrected(first, second))


def test_the_paired_bootstrap_agrees_with_that_of_scipy() -> None:
    random = np.random.default_rng(7)
    one = random.exponential(size=400)
    other = one + random.normal(0.05, 0.3, size=400)
    statistics = [
        (lambda w: float(w @ one / w.sum()), lambda w: float(w @ other / w.sum()))
    ]  # fmt: skip
    (found,) = paired_bootstrap(statistics, 400, resamples=4000, seed=1)
    assert found.values == pytest.approx((one.mean(), other.mean()))
    theirs = bootstrap(
        (one, other), lambda a, b, axis: b.mean(axis) - a.mean(axis), paired=True,
        method="percentile", n_resamples=4000, random_state=2,
    ).confidence_interval  # fmt: skip
    assert found.difference == pytest.approx((theirs.low, theirs.high), abs=0.003)
    # The mean of 400 differences is as good as normal.
    differences = other - one
    z = differences.mean() / (differences.std(ddof=1) / math.sqrt(400))
    assert found.p_value == pytest.approx(math.erfc(abs(z) / math.sqrt(2)), rel=0.5)


def test_the_bootstrap_has_a_seed_and_finds_no_difference_of_a_model_to_itself() -> None:
    values = np.random.default_rng(0).normal(size=50)
    same = [(lambda w: float(w @ values), lambda w: float(w @ values))]
    first, again, other = (
        paired_bootstrap(same, 50, resamples=200, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert first.p_value == 1.0
    assert first.difference == (0.0, 0.0)


def test_p_values_of_models_that_do_not_differ_are_uniform() -> None:
    """Of tests at the level of 20 %, a fifth finds a difference where there is none."""
    random = np.random.default_rng(11)
    p_values = []
    for seed in range(200):
        one, other = random.normal(size=(2, 60))
        statistics = [(lambda w, x=one: float(w @ x), lambda w, x=other: float(w @ x))]
        p_values.append(paired_bootstrap(statistics, 60, resamples=300, seed=seed)[0].p_value)
    assert np.mean(np.array(p_values) < 0.2) == pytest.approx(0.2, abs=0.08)


@pytest.mark.parametrize("target", list(KINDS))
def test_scores_are_those_of_the_evaluation(target: str, pairs: dict[str, Any]) -> None:
    runs = pairs[target]
    found = compare(*runs, resamples=100)
    assert found.scores[0].metric == KINDS[target][1]
    assert len({score.metric for score in found.scores}) >= 3
    for score in found.scores:
        for value, run in zip(score.values, runs, strict=True):
            assert value == pytest.approx(run.test[score.metric], rel=1e-5), score.metric
        assert score.difference == score.values[1] - score.values[0]
    assert found.examples == runs[0].test["examples"]


def test_accuracy_is_compared_by_the_examples_that_one_model_alone_has_right(
    pairs: dict[str, Any], tmp_path: Path
) -> None:
    runs = pairs["label"]
    score = compare(*runs, resamples=100).scores[0]
    table = Path(runs[0].config["data"]).read_text().splitlines()
    truth = {row["text"]: row["label"] for row in map(json.loads, table)}
    texts = runs[0].outcomes().texts
    right = [
        [prediction.label == truth[prediction.text] for prediction in run.model.predict(texts)]
        for run in runs
    ]
    only = [sum(a and not b for a, b in zip(*order, strict=True)) for order in (right, right[::-1])]
    formula = exact if sum(only) < 25 else corrected
    assert score.p_value == pytest.approx(formula(*only))
    assert score.test.startswith("McNemar")
    for at, run in enumerate(runs):
        ends = run.test["accuracy_low"], run.test["accuracy_high"]
        assert score.intervals[at] == pytest.approx(ends)


def test_a_run_does_not_differ_from_itself(pairs: dict[str, Any]) -> None:
    run = pairs["label"][0]
    found = compare(run, run.path, resamples=100)
    assert {score.p_value for score in found.scores} == {1.0}
    assert not found.settings
    assert found.scores[0].sentence == "both runs have the same accuracy"


def test_settings_that_differ(pairs: dict[str, Any]) -> None:
    settings = compare(*pairs["label"], resamples=100).settings
    assert settings == {"task.ngram_weight": (0.0, 0.7), "model.hidden_size": (2, 8)}


def test_a_language_model_is_compared_by_blocks_of_its_characters(
    tmp_path: Path, train_here: Train, text_file: Path
) -> None:
    runs = [
        train_here(
            "char-lm/gru", tmp_path / str(steps), f"steps={steps}", "hidden_size=8",
            "embed_size=4", data=text_file,
        )
        for steps in (5, 40)
    ]  # fmt: skip
    found = compare(*runs, resamples=200)
    by_name = {score.metric: score for score in found.scores}
    loss = by_name["loss"]
    for at, run in enumerate(runs):
        assert loss.values[at] == pytest.approx(run.test["loss"], rel=1e-4)
    assert loss.significant
    # The mean over blocks of 32 has the standard error of these, not of single characters.
    losses = runs[1].outcomes().losses
    blocks = losses[: len(losses) // 32 * 32].reshape(-1, 32).mean(1)
    half = 1.96 * blocks.std(ddof=1) / math.sqrt(len(blocks))
    low, high = loss.intervals[1]
    assert (high - low) / 2 == pytest.approx(half, rel=0.3)


def test_runs_on_other_examples_are_refused(
    pairs: dict[str, Any], tmp_path: Path, train_here: Train, zoo_here: Run
) -> None:
    run = pairs["label"][0]
    seed = train_here(
        "text-classification/gru", tmp_path / "seed", *SMALL, data=run.config["data"], seed=2
    )
    done = zoo_here("compare", run.path, seed.path)
    assert done.returncode == DataError.exit_code == 4
    assert "the test parts of the two runs are not the same" in done.stderr
    shared = set(run.outcomes().texts) & set(seed.outcomes().texts)
    assert f"of which {len(shared)} are the same" in done.stderr


def test_a_target_that_has_changed_is_refused(
    pairs: dict[str, Any], tmp_path: Path, train_here: Train
) -> None:
    lines = Path(pairs["label"][0].config["data"]).read_text().splitlines()
    runs = []
    for name, changed in (("one", lines), ("other", [_swap(line) for line in lines])):
        test = tmp_path / f"{name}.jsonl"
        test.write_text("\n".join(changed[:60]))
        train = tmp_path / "train.jsonl"
        train.write_text("\n".join(lines[60:]))
        runs.append(
            train_here(
                "text-classification/gru", tmp_path / name, *SMALL, data=train, test=str(test)
            )
        )
    with pytest.raises(DataError, match="other targets"):
        compare(*runs)


def _swap(line: str) -> str:
    row = json.loads(line)
    return json.dumps({**row, "label": {"a": "b", "b": "a", "c": "c"}[row["label"]]})


def test_runs_of_other_kinds_are_refused(pairs: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="one predicts labels, the other numbers"):
        compare(pairs["label"][0], pairs["value"][0])


def test_a_task_without_outcomes_is_refused(tmp_path: Path, train_here: Train) -> None:
    with registered():
        run = train_here("sum/gru", tmp_path / "run", "steps=1", "hidden_size=2")
        with pytest.raises(UsageError, match="'sum' does not implement ScoresExamples"):
            compare(run, run)


class Stored:
    """A run of which only the outcomes are asked."""

    def __init__(self, run: Any, outcomes: Outcomes) -> None:
        self._run, self._outcomes = run, outcomes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    def outcomes(self, split: str) -> Outcomes:
        del split
        return self._outcomes


def test_labels_in_another_order_are_the_same_labels(
    pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, kept = pairs["label"][1], pairs["label"][1].outcomes()
    order = [2, 0, 1]
    places = np.argsort(order)
    turned = Outcomes(
        "labels", [kept.names[n] for n in order], places[kept.targets], kept.scores[:, order],
        kept.losses, kept.texts, places[kept.predicted],
    )  # fmt: skip
    monkeypatch.setattr("zoo_runs.comparison.Run", (type(run), Stored))
    found = compare(run, Stored(run, turned), resamples=100)  # type: ignore[arg-type]
    assert {score.difference for score in found.scores} == {0.0}


def score(**changes: Any) -> Score:
    values: dict[str, Any] = {
        "metric": "accuracy", "values": (0.8, 0.788), "intervals": ((0.7, 0.9), (0.7, 0.9)),
        "difference": -0.012, "interval": (-0.02, -0.004), "p_value": 0.003, "test": "a test",
    }  # fmt: skip
    return Score(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {},
            "the difference of 1.2 points in accuracy (95 %: 0.4 to 2.0) is significant "
            "(p = 0.003, a test)",
        ),
        (
            {"metric": "mae", "difference": 1.5, "interval": (-1, 4), "p_value": 0.2},
            "the difference of 1.5 in mae (95 %: -1 to 4) is not significant (p = 0.200, a test)",
        ),
        (
            {"p_value": 1e-9},
            "the difference of 1.2 points in accuracy (95 %: 0.4 to 2.0) is significant "
            "(p < 0.001, a test)",
        ),
    ],
)
def test_the_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert score(**changes).sentence == sentence


def test_the_command_prints_what_the_function_returns(pairs: dict[str, Any], zoo_here: Run) -> None:
    paths = [run.path for run in pairs["label"]]
    done = zoo_here("compare", *paths, "--resamples", 200, "--json")
    assert done.returncode == 0, done.stderr
    found = compare(*paths, resamples=200)
    assert isinstance(found, Comparison)
    assert json.loads(done.stdout) == json.loads(json.dumps(found.to_json()))
    shown = zoo_here("compare", *paths, "--resamples", 200).stdout
    assert found.scores[0].sentence in " ".join(shown.split())
    assert "model.hidden_size  2    8" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_a_split_is_chosen(pairs: dict[str, Any], zoo_here: Run) -> None:
    paths = [run.path for run in pairs["value"]]
    done = zoo_here("compare", *paths, "--split", "validation", "--json")
    document = json.loads(done.stdout)
    run = pairs["value"][0]
    assert document["split"] == "validation"
    assert document["scores"][0]["values"][0] == pytest.approx(
        run.metrics["validation"]["mae"], rel=1e-5
    )
