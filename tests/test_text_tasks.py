"""The text tasks as their users see them: a table in, a weights file and predictions out."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zoo
from zoo.errors import DataError, UsageError
from zoo_text.linear import NGramSizes, sample_rows

FAST = {"epochs": 1, "hidden_size": 8, "embed_size": 8}
GOOD, BAD = ("lovely", "warm", "superb", "tasty"), ("awful", "cold", "soggy", "stale")


def predict(model: Any, *texts: str) -> list[Any]:
    return list(model.predict(texts))


def write(path: Path, rows: Sequence[tuple[object, object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("review", "verdict"), *rows])
    return path


def meals(number: int = 120) -> list[tuple[str, str]]:
    draw = random.Random(3)
    dishes = ("soup", "bread", "rice", "curry", "salad", "cake")
    return [
        (
            f"The {draw.choice(dishes)} was {draw.choice(words)} and {draw.choice(words)}, {n}",
            label,
        )
        for n in range(number)
        for words, label in [((GOOD, "good"), (BAD, "bad"))[n % 2]]
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    folder = tmp_path_factory.mktemp("meals")
    data = write(folder / "meals.csv", meals())
    return zoo.train(data=data, out=folder / "run", settings=FAST, progress=False)


def test_a_table_alone_is_enough(run: zoo.Run) -> None:
    assert run.config["name"] == "text-classification/bilstm"
    assert run.config["task"]["options"]["text_column"] == "review"
    found = run.model.evaluate(run.config["data"])
    assert found["examples"] == 24
    assert found["accuracy"] == 1.0
    assert found["baselines"] == {"majority": 0.5, "linear": 1.0}


def test_the_data_is_named_after_the_file_of_the_training_and_that_of_the_test(
    tmp_path: Path,
) -> None:
    data, test = write(tmp_path / "a.csv", meals(80)), write(tmp_path / "b.csv", meals(100)[80:])
    run = zoo.train(
        data=data, out=tmp_path / "run", progress=False, settings={**FAST, "test_data": str(test)}
    )
    count = run.data.splits["all"].num_examples
    assert run.data.summary == f"{count} texts of a.csv and b.csv"
    assert run.model.evaluate(data, split="train")["data"] == run.data.summary
    assert run.model.evaluate(test)["data"] == "20 texts of b.csv"


def test_unseen_words_are_read_by_their_parts(run: zoo.Run) -> None:
    good, bad, typo = predict(run.model, "so loveliness", "it was colder", "supurb")
    assert (good.label, bad.label, typo.label) == ("good", "bad", "good")
    assert 0 < typo.known <= 1


@pytest.mark.parametrize("text", ["", "   ", "Ωψξ", "\x00"])
def test_a_text_of_which_nothing_is_known_gets_the_shares_of_the_labels(
    run: zoo.Run, text: str
) -> None:
    (prediction,) = predict(run.model, text)
    assert prediction.known == 0
    assert prediction.scores == pytest.approx({"bad": 0.5, "good": 0.5}, abs=0.02)


def test_a_text_is_answered_alike_alone_and_among_others(run: zoo.Run) -> None:
    texts = ["The soup was awful", "Warm bread and lovely rice " * 40, "", "cake"]
    together = [p.scores["good"] for p in predict(run.model, *texts)]
    alone = [predict(run.model, text)[0].scores["good"] for text in texts]
    assert together == pytest.approx(alone, abs=1e-5)


def test_the_weights_file_answers_as_the_run_does(run: zoo.Run, tmp_path: Path) -> None:
    run.model.save(tmp_path / "meals.safetensors")
    model = zoo.load(tmp_path / "meals.safetensors")
    texts = ["The soup was awful", "tasty", ""]
    expected = [p.scores for p in predict(run.model, *texts)]
    assert [p.scores for p in predict(model, *texts)] == expected
    assert model.verify() < 1e-4


def test_outputs_are_the_weighted_sum_over_the_temperature(run: zoo.Run) -> None:
    model: Any = run.model
    text = "The soup was cold"
    batch = model.task.split([text], np.zeros(1, np.int64)).batch(np.array([0]))
    with torch.inference_mode():
        recurrent = model.module(
            batch.inputs, batch.lengths, units=batch.units, starts=batch.starts
        )[0]  # fmt: skip
        linear = model.module.linear(batch.ngrams, 1)
    expected = (0.3 * recurrent + 0.7 * linear) / model.module.temperature
    (prediction,) = predict(model, text)
    assert prediction.scores["good"] == pytest.approx(float(expected.sigmoid()), abs=1e-6)


def test_the_recurrent_part_is_scored_alone(run: zoo.Run, tmp_path: Path) -> None:
    mixed = [(f"{good} but {bad}", "good") for good in GOOD for bad in BAD]
    data = write(tmp_path / "mixed.csv", [*mixed, ("awful", "bad")])
    alone: Any = zoo.open_run(run.path).model
    alone.module.linear = None
    found = run.model.evaluate(data)
    assert found["recurrent_accuracy"] == alone.evaluate(data)["accuracy"]
    assert found["recurrent_accuracy"] != found["baselines"]["linear"]


def test_another_file_is_evaluated_whole(run: zoo.Run, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text;label\nlovely cake;good\nstale rice;bad\nawful;bad\n", encoding="utf-8")
    found = run.model.evaluate(other)
    assert (found["examples"], found["accuracy"]) == (3, 1.0)
    other.write_text("text;label\nlovely cake;fine\nstale rice;bad\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"'fine'.*line 2"):
        run.model.evaluate(other)


def test_validation_texts_are_scored_by_a_linear_model_that_has_not_seen_them(
    tmp_path: Path,
) -> None:
    draw = random.Random(0)
    rows = [(f"id{n:04}x{draw.random():.9f}", draw.choice("ab")) for n in range(300)]
    data = write(tmp_path / "noise.csv", rows)
    found = zoo.train(
        "text-classification/rnn", data, out=tmp_path / "run", settings=FAST, progress=False
    )
    (line,) = [line for line in found.history["accuracy_low"] if line is not None][-1:]
    # Labels are drawn: whoever has seen the texts is right of almost all of them.
    assert line < 0.75


def test_the_most_confident_mistakes_are_found(run: zoo.Run, tmp_path: Path) -> None:
    rows = [("lovely warm soup", "bad"), ("tasty", "good"), ("stale bread, awful", "good")]
    data = write(tmp_path / "wrong.csv", rows)
    mistakes: list[Any] = run.model.mistakes(data)
    assert {(m.prediction.text, m.target) for m in mistakes} == {
        ("lovely warm soup", "bad"), ("stale bread, awful", "good"),
    }  # fmt: skip
    confidence = [m.prediction.probability for m in mistakes]
    assert confidence == sorted(confidence, reverse=True)


@pytest.mark.parametrize("tokens", ["words", "characters"])
@pytest.mark.parametrize("ngram_weight", [0.0, 0.5])
def test_tokens_and_linear_part_can_be_chosen(
    tmp_path: Path, tokens: str, ngram_weight: float
) -> None:
    data = write(tmp_path / "meals.csv", meals(60))
    settings = {**FAST, "tokens": tokens, "ngram_weight": ngram_weight}
    run = zoo.train(
        "text-classification/gru", data, out=tmp_path / "run", settings=settings, progress=False
    )
    baselines = run.model.evaluate(data)["baselines"]
    assert ("linear" in baselines) == (ngram_weight > 0)
    assert predict(run.model, "The soup was cold")[0].label in ("good", "bad")


def test_chinese_is_read_by_characters(tmp_path: Path) -> None:
    rows = [(f"房间很{'好' if n % 2 else '差'}、第{n}次", str(n % 2)) for n in range(80)]
    data = write(tmp_path / "rooms.csv", rows)
    run = zoo.train(data=data, out=tmp_path / "run", settings=FAST, progress=False)
    assert run.config["task"]["options"]["tokens"] == "characters"
    assert run.model.evaluate(data)["accuracy"] == 1.0
    assert [p.label for p in predict(run.model, "早餐很好", "早餐很差")] == ["1", "0"]


def test_several_labels(tmp_path: Path) -> None:
    rows = []
    for n in range(160):
        labels = [name for bit, name in enumerate(("bad", "long", "loud")) if n >> bit & 1]
        words = {"bad": "awful", "long": "endless", "loud": "noisy"}
        text = " ".join(["a film", *(words[name] for name in labels), f"no {n}"])
        rows.append((text, "|".join(labels) or "bad|loud"))
    rows = [(text if label != "bad|loud" else text + " awful noisy", label) for text, label in rows]
    data = write(tmp_path / "tags.csv", rows)
    run = zoo.train(data=data, out=tmp_path / "run", settings=FAST, progress=False)
    assert run.config["name"] == "text-multilabel/bilstm"
    found = run.model.evaluate(data)
    assert found["f1_micro"] > found["baselines"]["majority"]
    (prediction,) = predict(run.model, "an awful endless film")
    assert set(prediction.labels) == {"bad", "long"}
    assert prediction.columns() == ("|".join(prediction.labels),)
    assert set(prediction.scores) == {"bad", "long", "loud"}


def test_numbers(tmp_path: Path) -> None:
    draw = random.Random(1)
    words = {"tiny": 10.0, "small": 30.0, "large": 300.0, "huge": 900.0}
    rows: list[tuple[object, object]] = []
    for n in range(200):
        size = draw.choice(list(words))
        rows.append((f"a {size} house in street {n}", words[size] + round(draw.random(), 3)))
    data = write(tmp_path / "prices.csv", rows)
    run = zoo.train(data=data, out=tmp_path / "run", settings=FAST, progress=False)
    assert run.config["name"] == "text-regression/bilstm"
    found = run.model.evaluate(data)
    assert found["mae"] < 0.3 * found["baselines"]["mean"]
    small, huge = predict(run.model, "a tiny house", "a huge house")
    assert small.values[0] < 200 < 600 < huge.values[0]
    (unknown,) = predict(run.model, "")
    train = [float(str(price)) for _, price in rows]
    assert unknown.values[0] == pytest.approx(np.mean(train), rel=0.2)


def test_a_rare_label_weighs_as_much_as_a_common_one_where_asked(tmp_path: Path) -> None:
    draw = random.Random(2)
    rows = [(f"{draw.random():.6f} {draw.random():.6f}", "no") for _ in range(190)]
    rows += [(f"{draw.random():.6f} {draw.random():.6f}", "yes") for _ in range(40)]
    data = write(tmp_path / "rare.csv", rows)
    means = {}
    for weight in ("none", "balanced"):
        settings: dict[str, Any] = {**FAST, "class_weight": weight, "ngram_weight": 0.0}
        run = zoo.train(
            "text-classification/rnn", data, out=tmp_path / weight, settings=settings,
            progress=False,
        )  # fmt: skip
        means[weight] = predict(run.model, "0.5 0.5")[0].scores["yes"]
    assert means["none"] < 0.35 < means["balanced"]


def test_the_threshold_is_chosen_on_validation(tmp_path: Path) -> None:
    rows = [(f"{'urgent' if n % 3 == 0 else 'hello'} {n}", "spam") for n in range(60)]
    rows += [(f"hello {n} there", "ham") for n in range(240)]
    data = write(tmp_path / "mail.csv", rows)
    settings = {**FAST, "threshold": "f1"}
    run = zoo.train(
        "text-classification/gru", data, out=tmp_path / "run", settings=settings, progress=False
    )
    model: Any = run.model
    threshold = float(model.module.threshold)
    for prediction in predict(model, *(f"hello {n}" for n in range(40))):
        assert (prediction.label == "spam") == (prediction.scores["spam"] > threshold)


@pytest.mark.parametrize(("threshold", "is_half"), [("none", True), ("f1", False), ("half", False)])
def test_several_labels_are_predicted_above_one_half_or_by_what_is_asked_for(
    threshold: str, is_half: bool, tmp_path: Path
) -> None:
    draw = random.Random(4)  # Nothing is to be learned: the best F1 predicts every label.
    rows = [(f"{draw.random()} no", draw.choice(["", "a", "b", "a;b"])) for _ in range(400)]
    data = write(tmp_path / "mail.csv", rows)
    settings = {**FAST, "labels": "multilabel", "epochs": 1, "threshold": threshold}
    run = zoo.train(
        "text-multilabel/gru", data, out=tmp_path / "run", settings=settings, progress=False
    )
    model: Any = run.model
    assert (float(model.module.threshold) == 0.5) == is_half
    # "half" is the name that the best F1 had in earlier versions.
    assert run.settings["task.threshold"] == ("none" if is_half else "f1")


def test_a_threshold_for_three_labels_is_warned_of(tmp_path: Path) -> None:
    data = write(tmp_path / "data.csv", [(f"a text, {n}", "abc"[n % 3]) for n in range(60)])
    settings = {**FAST, "threshold": "f1", "epochs": 1}
    with pytest.warns(zoo.errors.ZooWarning, match="threshold is for two labels, and is not used"):
        zoo.train(
            "text-classification/gru", data, out=tmp_path / "run", settings=settings,
            progress=False,
        )  # fmt: skip


def test_another_vocabulary_takes_the_vectors_of_common_units(run: zoo.Run, tmp_path: Path) -> None:
    rows = [(f"{text} today", label.upper()) for text, label in meals(60)]
    data = write(tmp_path / "more.csv", rows)
    started = zoo.train(
        "text-classification/bilstm", data, out=tmp_path / "run", init=run.path, settings=FAST,
        progress=False,
    )  # fmt: skip
    assert "embedding.weight: " in started.transfer
    assert "linear" in started.transfer.partition("fresh: ")[2]


def test_labels_of_another_kind_are_refused_with_the_task_for_them(tmp_path: Path) -> None:
    rows = [(f"text number {n}", n * 1.37) for n in range(60)]
    data = write(tmp_path / "numbers.csv", rows)
    with pytest.raises(DataError, match="text-regression"):
        zoo.train("text-classification/gru", data, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("task", "labels", "named"),
    [
        ("text-multilabel", [f"l{n % 3}" for n in range(60)], "text-classification"),
        ("text-regression", [f"l{n % 3}" for n in range(60)], "text-classification"),
        ("text-regression", ["a|b", "b|c", "a"] * 20, "text-multilabel"),
    ],
)
def test_what_the_labels_are_is_looked_at_unless_it_is_said(
    tmp_path: Path, task: str, labels: list[str], named: str
) -> None:
    data = write(tmp_path / "data.csv", [(f"a text, {n}", x) for n, x in enumerate(labels)])
    with pytest.raises(DataError, match=f"use {named}, or say what they are: --set labels="):
        zoo.train(f"{task}/gru", data, out=tmp_path / "run", progress=False)
    if task == "text-multilabel":
        settings = {**FAST, "labels": "multilabel"}
        run = zoo.train(
            f"{task}/gru", data, out=tmp_path / "run", settings=settings, progress=False
        )
        assert set(predict(run.model, "a text")[0].scores) == {"l0", "l1", "l2"}


@pytest.mark.parametrize(("labels", "task"), [("numbers", "regression"), ("multilabel",) * 2])
def test_what_the_labels_are_decides_which_task_is_chosen(
    tmp_path: Path, labels: str, task: str
) -> None:
    data = write(tmp_path / "data.csv", [(f"a text, {n}", n % 4) for n in range(80)])
    settings = {**FAST, "labels": labels}
    run = zoo.train(data=data, out=tmp_path / "run", settings=settings, progress=False)
    assert run.config["name"] == f"text-{task}/bilstm"


def test_of_two_unequal_labels_the_rarer_one_is_measured(tmp_path: Path) -> None:
    kinds = [("fraud", "bad") if n % 12 == 0 else ("fine", "ok") for n in range(600)]
    rows = [(f"{word} no {n}", label) for n, (word, label) in enumerate(kinds)]
    data = write(tmp_path / "mail.csv", rows)
    settings = {**FAST, "threshold": "f1"}
    run = zoo.train(
        "text-classification/gru", data, out=tmp_path / "run", settings=settings, progress=False
    )
    model: Any = run.model
    found = model.evaluate(data)
    assert (found["f1_label"], found["pr_auc_label"]) == ("bad", "bad")
    answers = [p.label for p in predict(model, *(text for text, _ in rows))]
    assert answers == [label for _, label in rows]
    assert 0 < float(model.module.threshold) < 1


def test_few_numbers_are_classes_unless_regression_is_named(tmp_path: Path) -> None:
    rows = [(f"{'lovely' if n % 5 > 2 else 'awful'} place {n}", n % 5 + 1) for n in range(100)]
    data = write(tmp_path / "stars.csv", rows)
    unnamed = zoo.train(data=data, out=tmp_path / "a", settings=FAST, progress=False)
    assert unnamed.config["name"] == "text-classification/bilstm"
    assert list(predict(unnamed.model, "lovely")[0].scores) == ["1", "2", "3", "4", "5"]
    named = zoo.train(
        "text-regression/gru", data, out=tmp_path / "b", settings=FAST, progress=False
    )
    assert 1 < predict(named.model, "lovely")[0].values[0] < 6


def test_options_of_words_are_refused_for_other_tokens(tmp_path: Path) -> None:
    data = write(tmp_path / "meals.csv", meals(40))
    with pytest.raises(UsageError, match="ngram_bits is for tokens=words"):
        zoo.train(
            "text-classification/gru", data, out=tmp_path / "run",
            settings={"ngram_bits": 10, "tokens": "subwords"},
        )  # fmt: skip


def test_an_exported_file_names_no_folder_and_finds_the_test_file_beside_the_data(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "secret-folder"
    secret.mkdir()
    data = write(secret / "meals.csv", meals(60))
    test = write(secret / "held-out.csv", [("lovely tea", "good"), ("stale tea", "bad")])
    run = zoo.train(data=data, test=test, out=tmp_path / "run", settings=FAST, progress=False)
    run.model.save(tmp_path / "meals.safetensors")
    assert b"secret-folder" not in (tmp_path / "meals.safetensors").read_bytes()
    moved = secret.rename(tmp_path / "moved")
    found = zoo.load(tmp_path / "meals.safetensors").evaluate(moved / "meals.csv")
    assert found["examples"] == 2


def test_an_evaluation_of_the_validation_split_gives_the_score_of_the_training(
    run: zoo.Run,
) -> None:
    (logged,) = [loss for loss in run.history["loss"] if loss is not None][-1:]
    found = run.model.evaluate(run.config["data"], split="validation")
    assert found["loss"] == pytest.approx(logged, abs=1e-6)


def test_an_empty_text_is_scored_as_it_is_answered(run: zoo.Run, tmp_path: Path) -> None:
    data = tmp_path / "blank.csv"
    data.write_text("review,verdict,split\nlovely,good,test\n,bad,test\n", encoding="utf-8")
    found = run.model.evaluate(data)
    answers = [predict(run.model, text)[0].label for text in ("lovely", "")]
    right = [answer == label for answer, label in zip(answers, ("good", "bad"), strict=True)]
    assert found["accuracy"] == np.mean(right)


def test_unknown_labels_of_the_sample_are_refused(run: zoo.Run) -> None:
    with pytest.raises(DataError, match="label 'neg' is not among those of the training"):
        run.model.evaluate("sample")


def test_large_texts_are_sampled_for_the_linear_model() -> None:
    texts = ["word " * 400_000] * 4
    rows = np.arange(4)
    assert sample_rows(texts, rows, NGramSizes(2, 0)).tolist() == [0, 1, 2, 3]
    assert len(sample_rows(texts, rows, NGramSizes(0, 5))) == 3
