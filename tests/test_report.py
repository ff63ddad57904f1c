"""Pages about runs: their numbers, their form, what they leave out, and the command."""

from __future__ import annotations

import json
import random
import re
import shutil
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import browser as browser
from browser import overflow, page_at
from report_page import Page
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

import zoo
from zoo.interfaces import Explanation, Outcomes, Piece
from zoo_report import write_report
from zoo_report.calibration import section
from zoo_report.classes import per_class
from zoo_report.parts import Table, number, setting

Train = Callable[..., Any]

SMALL = ("steps=40", "hidden_size=8", "embed_size=8", "log_every=5", "evaluate_every=10")
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>&amp;'
LIMIT = 300_000


def write_table(path: Path, rows: Iterable[tuple[str, Any]]) -> Path:
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def messages(count: int, labels: tuple[str, ...] = ("ham", "spam")) -> list[tuple[str, str]]:
    """Return texts that tell their label most of the time."""
    draw = random.Random(8)
    found = []
    for row in range(count):
        label = draw.choice(labels)
        told = label if draw.random() < 0.8 else draw.choice(labels)
        words = [f"w{labels.index(told)}", *(draw.choice("abcdefgh") for _ in range(row % 9))]
        draw.shuffle(words)
        found.append((f"{' '.join(words)} {row}", label))
    return found


@pytest.fixture(scope="module")
def spam(tmp_path_factory: pytest.TempPathFactory, train_here: Train) -> Any:
    folder = tmp_path_factory.mktemp("report")
    data = write_table(folder / "sms.jsonl", messages(400))
    run = train_here("text-classification/gru", folder / "spam", *SMALL, data=data)
    assert run.test
    return run


def page_of(*runs: Any, path: Path) -> Page:
    write_report(runs, path)
    return Page.at(path)


def cells(rows: list[list[str]]) -> list[list[str]]:
    """Return a table without its heads."""
    return rows[1:]


def test_numbers_are_those_of_scikit_learn(spam: Any, tmp_path: Path) -> None:
    page = page_of(spam, path=tmp_path / "page.html")
    outcomes = spam.outcomes()
    known = dict(messages(400))
    predictions = list(spam.model.predict(outcomes.texts))
    truth = [known[text] for text in outcomes.texts]
    predicted = [prediction.label for prediction in predictions]
    names = ["ham", "spam"]
    matrix = confusion_matrix(truth, predicted, labels=names)
    shown = [[int(cell) for cell in row[1:]] for row in cells(page.tables["Confusion matrix"])]
    assert shown == matrix.tolist()
    scores = precision_recall_fscore_support(truth, predicted, labels=names, zero_division=0)
    assert cells(page.tables["Single labels"]) == [
        [name, *(f"{scores[n][at]:.3f}" for n in range(3)), str(scores[3][at])]
        for at, name in enumerate(names)
    ]
    positive = spam.test["f1_label"]
    yes = [label == positive for label in truth]
    probabilities = [prediction.scores[positive] for prediction in predictions]
    assert f"Area under the curve: {roc_auc_score(yes, probabilities):.4f}" in page.text
    average = average_precision_score(yes, probabilities)
    assert f"Average precision: {average:.4f}" in page.text


def test_scores_baselines_and_verdict_are_those_of_the_run(spam: Any, tmp_path: Path) -> None:
    page = page_of(spam, path=tmp_path / "page.html")
    rows = {row[0]: row for row in cells(page.tables["Scores"])}
    assert rows["accuracy"][1] == f"{spam.test['accuracy']:.3f}"
    low, high = spam.test["accuracy_low"], spam.test["accuracy_high"]
    assert rows["accuracy"][2] == f"{low:.3f} to {high:.3f}"
    assert "examples" not in rows
    assert "baseline: majority" in page.text
    assert "baseline: linear" in page.text
    for sentence in spam.verdict:
        assert sentence[1:] in page.text


def test_the_calibration_error_is_that_of_the_evaluation_and_of_logits_before_scaling(
    spam: Any, tmp_path: Path
) -> None:
    rows = page_of(spam, path=tmp_path / "page.html").tables["Expected calibration error"]
    temperature = float(spam.model.module.temperature)
    assert temperature != 1
    assert cells(rows)[1] == [f"after (temperature {temperature:.3f})", f"{spam.test['ece']:.4f}"]
    spam.model.module.temperature.fill_(1.0)
    try:
        unscaled = spam.model.evaluate(spam.data)["ece"]
    finally:
        spam.model.module.temperature.fill_(temperature)
    assert float(cells(rows)[0][1]) == pytest.approx(unscaled, abs=2e-4)


def test_a_calibration_error_that_temperature_scaling_raised_is_explained() -> None:
    # Nine of ten are right: 0.9 is their probability exactly, 0.99 is too much.
    def note(probability: float) -> str:
        scores = np.tile([1 - probability, probability], (10, 1))
        targets = np.array([0] + [1] * 9)
        outcomes = Outcomes("labels", "ab", targets, scores, np.zeros(10), temperature=0.5)
        shown = section(outcomes, "test")
        assert shown is not None
        (table,) = [part for part in shown.parts if isinstance(part, Table)]
        return table.note

    assert note(0.9) == ""
    assert note(0.99) == (
        "The temperature was fitted to the loss on the validation part, and the error is measured "
        "on the test part, where it can be larger."
    )


def test_measured_numbers_have_three_decimals_and_counts_none() -> None:
    assert [number(value) for value in (1.0, 0.997, 0.0, 1, 5574, 1234.5, 0.00012)] == [
        "1.000", "0.997", "0.000", "1", "5,574", "1,234", "0.00012",
    ]  # fmt: skip
    assert [setting(value, 9) for value in (1.0, 0.003, 5)] == ["1", "0.003", "5"]


def test_the_worst_mistakes_are_shown_first(spam: Any, tmp_path: Path) -> None:
    page = page_of(spam, path=tmp_path / "page.html")
    for mistake in spam.mistakes(3):
        assert mistake.prediction.text in page.text
        assert f"{mistake.prediction.label} ({mistake.prediction.probability:.4f})" in page.text
    count = int((spam.outcomes().predicted != spam.outcomes().targets).sum())
    assert f"{count} of {spam.test['examples']} examples are wrong" in page.text


def test_words_are_coloured_by_what_they_add(
    spam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explain(self: Any, network: Any, texts: Any, target: str) -> list[Explanation]:
        assert not target
        return [
            Explanation(t, "ham", 0.5, 0.0, "logit", (Piece(0, 1, 1.0), Piece(1, 2, -0.5)), "toy")
            for t in texts
        ]

    monkeypatch.setattr(type(spam.model.task), "explain", explain, raising=False)
    page = page_of(spam, path=tmp_path / "page.html")
    coloured = [each for _, each in page.elements if each.get("title") in ("+1.000", "-0.500")]
    strengths = {(each["class"], each["style"]) for each in coloured}
    assert strengths == {("supports", "--s:1.00"), ("against", "--s:0.50")}
    assert "Computed by toy" in page.text


def test_the_page_is_well_formed_and_refers_to_nothing_outside(spam: Any, tmp_path: Path) -> None:
    page = page_of(spam, path=tmp_path / "page.html")
    assert page.problems == []
    source = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not page.tags() & {"script", "link", "img", "iframe", "object"}
    assert not re.search(r"url\(|@import|https?://", source)
    links = [each["href"] for _, each in page.elements if "href" in each]
    ids = {each["id"] for _, each in page.elements if "id" in each}
    assert links
    assert {link.removeprefix("#") for link in links} <= ids
    charts = [each for tag, each in page.elements if tag == "svg" and "aria-hidden" not in each]
    assert len(charts) >= 6
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)


def test_labels_and_texts_of_the_data_are_escaped(train_here: Train, tmp_path: Path) -> None:
    labels = (HOSTILE, "b]]>{{ 7 * 7 }}", "c\u202e")
    rows = [(f"{text} {HOSTILE}", label) for text, label in messages(90, labels)]
    data = write_table(tmp_path / "hostile.jsonl", rows)
    run = train_here("text-classification/gru", tmp_path / "run", *SMALL, data=data)
    assert run.test
    page = page_of(run, path=tmp_path / "page.html")
    assert page.problems == []
    assert not page.tags() & {"script", "img"}
    assert not [each for _, each in page.elements if any(name.startswith("on") for name in each)]
    assert HOSTILE[:39] in page.text  # Names are cut after 40 characters.
    assert "b]]>{{ 7 * 7 }}" in page.text


def test_a_page_of_many_labels_stays_small_and_shows_the_most_confused(
    train_here: Train, tmp_path: Path
) -> None:
    labels = tuple(f"label {number:02} {'x' * 30}" for number in range(77))
    data = write_table(tmp_path / "many.jsonl", messages(1200, labels))
    run = train_here("text-classification/gru", tmp_path / "run", *SMALL, data=data)
    assert run.test
    page = page_of(run, path=tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < LIMIT
    outcomes = run.outcomes()
    matrix = confusion_matrix(outcomes.targets, outcomes.predicted, labels=range(77))
    np.fill_diagonal(matrix, 0)
    rows = cells(page.tables["Commonest confusions"])
    assert len(rows) == 20
    assert int(rows[0][2]) == matrix.max()
    assert len(cells(page.tables["Single labels"])) == 20


def test_a_long_log_stays_a_small_page_with_its_best_evaluation(spam: Any, tmp_path: Path) -> None:
    out = copied(spam, tmp_path / "long", "best")
    with (out / "metrics.jsonl").open("w") as file:
        for step in range(1, 20_001):
            common = {"step": step, "epoch": 0, "seconds": step / 10, "loss": 1 / step}
            file.write(json.dumps({"kind": "train", **common, "rows_per_second": 5.0}) + "\n")
            line = {"kind": "evaluation", **common, "accuracy": 0.5, "best": step in (1, 7_777)}
            file.write(json.dumps(line) + "\n")
    page = page_of(out, path=tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < LIMIT
    assert "best of validation: 0.0001286 at 7,777" in page.text


@pytest.mark.parametrize(
    ("selection", "marked"),
    [("best", "the best evaluation"), ("last", "the last evaluation")],
)
def test_the_dot_marks_the_evaluation_whose_weights_were_saved(
    selection: str, marked: str, spam: Any, tmp_path: Path
) -> None:
    out = copied(spam, tmp_path / "run", selection)
    text = page_of(out, path=tmp_path / "page.html").text
    assert f"the dot {marked}, whose weights were saved" in text
    assert set(re.findall(r"(best|last) of validation: ", text)) == {selection}
    if selection == "last":
        assert re.search(r"last of validation: \S+ at 40", text)


def copied(run: Any, out: Path, selection: str) -> Path:
    """Copy a run, its configuration with another ``selection``."""
    shutil.copytree(run.path, out)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    config["training"]["selection"] = selection
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return out


def test_numbers_have_residuals_and_label_sets_a_table(train_here: Train, tmp_path: Path) -> None:
    draw = random.Random(3)
    words = [[draw.choice("abcdefgh") for _ in range(draw.randrange(2, 30))] for _ in range(300)]
    numbers = write_table(
        tmp_path / "numbers.jsonl", [(" ".join(each), len(each) * 2.5) for each in words]
    )
    run = train_here("text-regression/gru", tmp_path / "numbers", *SMALL, data=numbers)
    assert run.test
    page = page_of(run, path=tmp_path / "numbers.html")
    errors = run.outcomes().predicted - run.outcomes().targets
    assert f"standard deviation {errors.std():.3f}" in page.text
    rows = {row[0]: row for row in cells(page.tables["Scores"])}
    assert rows["mae"][1] == f"{np.abs(errors).mean():.3f}"
    assert page.problems == []
    sets = write_table(
        tmp_path / "sets.jsonl",
        [(" ".join(each), sorted(set(each) & set("abc"))) for each in words],
    )
    run = train_here("text-multilabel/gru", tmp_path / "sets", *SMALL, data=sets)
    assert run.test
    page = page_of(run, path=tmp_path / "sets.html")
    outcomes = run.outcomes()
    found = precision_recall_fscore_support(outcomes.targets, outcomes.predicted, zero_division=0)
    assert [row[3] for row in cells(page.tables["Single labels"])] == [f"{f:.3f}" for f in found[2]]
    ece = cells(page.tables["Expected calibration error"])[-1][1]
    assert ece == f"{run.test['ece']:.4f}"
    assert page.problems == []


def test_a_single_label_that_texts_may_have_is_scored_as_itself() -> None:
    targets = np.array([[1], [0], [1], [0], [0]], bool)
    scores = np.array([[0.9], [0.1], [0.2], [0.3], [0.1]])
    outcomes = Outcomes("label-sets", ["spam"], targets, scores, np.zeros(5))
    assert per_class(outcomes).rows == [["spam", "1.000", "0.500", "0.667", "2"]]


def test_a_language_model_has_samples_and_bits_along_the_text(
    char_lm_run: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    shutil.copytree(char_lm_run, path)
    run = zoo.open_run(path)
    page = page_of(run, path=tmp_path / "page.html")
    bits = run.metrics[("test" if "test" in run.metrics else "validation")]["bits_per_character"]
    assert f"the mean is {bits:.3f}." in page.text
    for temperature in ("0.5", "0.8", "1.0"):
        assert f"temperature {temperature}" in page.text
    sample = run.model.generate("", 400, temperature=0.8, seed=1)
    assert sample.strip("\n") in page.text
    assert page.problems == []


def test_of_a_long_text_the_beginning_is_looked_at(
    char_lm_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo_report.evidence.MOST_TOKENS", 300)
    run = zoo.open_run(char_lm_run)
    page = page_of(run, path=tmp_path / "page.html")
    split = "test" if "test" in run.metrics else "validation"
    whole = run.outcomes(split)
    assert whole is not None
    assert f"the mean is {whole.losses[:300].mean() / np.log(2):.3f}." in page.text
    assert f"the first 300 of {len(whole.losses):,} characters" in page.text


def test_several_runs_are_compared(spam: Any, train_here: Train, tmp_path: Path) -> None:
    data = spam.config["data"]
    other = train_here(
        "text-classification/lstm", tmp_path / "other", *SMALL, "hidden_size=4", data=data, seed=2
    )
    assert other.test
    page = page_of(spam, other, path=tmp_path / "page.html")
    rows = {row[0]: row[1:] for row in page.tables["Settings that differ"]}
    assert rows["setting"] == ["spam", "other"]
    assert rows["model.hidden_size"] == ["8", "4"]
    assert rows["seed"] == ["1", "2"]
    assert "training.learning_rate" not in rows
    close = train_here(
        "text-classification/lstm", tmp_path / "close", *SMALL, "learning_rate=0.0010000001",
        data=data,
    )  # fmt: skip
    near = train_here(
        "text-classification/lstm", tmp_path / "near", *SMALL, "learning_rate=0.001", data=data
    )
    differ = page_of(close, near, path=tmp_path / "close.html").tables["Settings that differ"]
    assert ["training.learning_rate", "0.0010000001", "0.001"] in cells(differ)
    accuracies = next(row for row in page.tables["Scores"] if row[0] == "accuracy")
    shown = [f"{run.test['accuracy']:.3f}" for run in (spam, other)]
    assert [cell.split(" ")[0] for cell in accuracies[1:]] == shown
    assert page.problems == []
    many = page_of(*[spam] * 5, path=tmp_path / "many.html")
    assert "Confusion matrix" not in many.tables


def test_what_cannot_be_had_is_said_and_the_rest_is_shown(spam: Any, tmp_path: Path) -> None:
    out = tmp_path / "moved"
    shutil.copytree(spam.path, out)
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"data": "/nowhere/sms.jsonl"}))
    page = page_of(out, path=tmp_path / "page.html")
    assert "all that needs the data of the training: " in page.text
    assert "/nowhere/sms.jsonl" in page.text
    assert f"{spam.test['accuracy']:.3f}" in page.text
    assert "Confusion matrix" not in page.tables
    (out / "weights.safetensors").unlink()
    page = page_of(out, path=tmp_path / "page.html")
    assert "all that needs the trained network: no weights yet" in page.text
    assert "Loss" in page.text
    (out / "metrics.jsonl").unlink()
    page = page_of(out, path=tmp_path / "page.html")
    assert "no steps logged" in page.text
    assert page.problems == []


def test_an_interrupted_run_shows_validation_and_leaves_the_test_part_alone(
    train_here: Train, tmp_path: Path
) -> None:
    data = write_table(tmp_path / "sms.jsonl", messages(200))
    run = train_here("text-classification/gru", tmp_path / "run", *SMALL, data=data, stop_after=20)
    assert run.interrupted
    page = page_of(run.path, path=tmp_path / "page.html")
    assert "scores on the validation part" in page.text
    assert "20 of 40 steps" in page.text
    assert "Confusion matrix" in page.tables
    assert not (run.path / "evaluations.json").exists()


def test_the_command_that_is_shown_trains_the_same_weights(
    spam: Any, tmp_path: Path, zoo_here: Callable[..., Any]
) -> None:
    import shlex

    page = page_of(spam, path=tmp_path / "page.html")
    found = re.search(r"zoo train (.*?--seed \d+)", page.text, re.DOTALL)
    assert found
    words = shlex.split(found[1].replace("\\\n", " "))
    done = zoo_here("train", *words, "--threads", 1, "--no-report", "--out", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    assert zoo.load(tmp_path / "again").weights_sha256 == spam.model.weights_sha256


def test_the_command_names_processes_and_that_a_recipe_started_from_nothing(
    spam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = zoo.open_run(spam.path)
    tuned = zoo.records.Recipe(
        name="tuned", summary="", task="text-classification", model="gru", init="imdb-bilstm"
    )
    monkeypatch.setitem(zoo.api.registry()._records, ("recipe", "tuned"), [tuned])
    monkeypatch.setattr(zoo.Run, "config", {**run.config, "name": "tuned"})
    monkeypatch.setattr(zoo.Run, "changed_settings", {})
    monkeypatch.setattr(zoo.Run, "num_processes", 2)
    text = page_of(run, path=tmp_path / "page.html").text
    assert "torchrun --standalone --nproc-per-node=2 -m zoo train tuned" in text
    assert "--init '' " in text


def test_train_writes_a_page_unless_it_is_told_not_to(
    zoo_here: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("--steps", 2, "--hidden-size", 4, "--threads", 1)
    done = zoo_here("train", "sample-lstm", *settings, "--out", tmp_path / "with")
    assert done.returncode == 0, done.stderr
    assert f"report: {tmp_path / 'with' / 'report.html'}" in done.stdout.splitlines()
    assert "95 % interval" in Page.at(tmp_path / "with" / "report.html").text
    done = zoo_here("train", "sample-lstm", *settings, "--no-report", "--out", tmp_path / "no")
    assert done.returncode == 0
    assert "report:" not in done.stdout
    assert not (tmp_path / "no" / "report.html").exists()
    done = zoo_here("train", "sample-lstm", *settings, "--no-test", "--out", tmp_path / "untested")
    assert not (tmp_path / "untested" / "evaluations.json").exists()
    page = Page.at(tmp_path / "untested" / "report.html")
    assert "scores on the validation part" in page.text

    def fail(*arguments: object) -> None:
        raise RuntimeError("no chart for you")

    monkeypatch.setattr("zoo_report.report.page", fail)
    with warnings.catch_warnings(record=True):
        done = zoo_here("train", "sample-lstm", *settings, "--out", tmp_path / "failed")
    assert done.returncode == 0
    assert "no chart for you" in done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "failed")


def test_the_command_writes_where_it_is_told(
    spam: Any, zoo_here: Callable[..., Any], tmp_path: Path
) -> None:
    done = zoo_here("report", spam.path, "-o", tmp_path / "x.html")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'x.html'}\n"), done.stderr
    done = zoo_here("report", spam.path, spam.path, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "report.html\n"), done.stderr
    assert (tmp_path / "report.html").exists()
    done = zoo_here("report", tmp_path / "none")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no run in ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_browser_shows_it_without_errors_on_any_screen(
    browser: Any,
    dark: bool,
    spam: Any,
    tmp_path: Path,
) -> None:
    write_report([spam], tmp_path / "page.html")
    for width in (390, 1440):
        with page_at(browser, (tmp_path / "page.html").as_uri(), width, dark=dark) as page:
            assert overflow(page) <= 0, width
            assert page.problems == []
            scores = page.get_by_role("region", name="Scores", exact=True).locator("table")
            assert scores.locator("thead th").count() == 4
            wide, room = scores.evaluate("t => [t.scrollWidth, t.parentElement.clientWidth]")
            assert wide <= room, width
            back = page.evaluate("getComputedStyle(document.body).backgroundColor")
            bright = sum(map(int, re.findall(r"\d+", back)[:3])) / 3
            assert (bright < 60) if dark else (bright > 240)
            assert page.locator("svg[role=img]").first.bounding_box()["width"] > 200


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""

    def luminance(colour: tuple[float, ...]) -> float:
        parts = [c / 255 for c in colour[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_texts_have_enough_contrast_also_on_the_darkest_cells(
    browser: Any,
    dark: bool,
    spam: Any,
    tmp_path: Path,
) -> None:
    source = page_of(spam, path=tmp_path / "page.html")
    assert source.problems == []
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    extra = '<p><span class="supports" style="--s:1">a</span><span class="against" style="--s:1">b'
    table = '<table><tr><td class="shade" style="--s:1">1</td></tr></table>'
    (tmp_path / "page.html").write_text(
        html.replace("<footer>", f"{extra}</span></p>{table}<footer>")
    )

    def numbers(text: str) -> tuple[float, ...]:
        return tuple(map(float, re.findall(r"[\d.]+", text)))

    with page_at(browser, (tmp_path / "page.html").as_uri(), dark=dark) as page:
        styles = page.evaluate(
            """() => [...document.querySelectorAll(
                 'p, dt, dd, th, td, li, span, a, figcaption, blockquote, code, pre, h1, h2, h3')]
               .map(e => { const s = getComputedStyle(e), p = getComputedStyle(
                   e.closest('.headline div, .passages li, pre') || document.body);
                   return [s.color, s.backgroundColor, p.backgroundColor, e.className]; })"""
        )
        assert len(styles) > 100
        for colour, back, under, name in styles:
            behind, over = numbers(under), numbers(back)
            alpha = over[3] if len(over) == 4 else 1.0
            mixed = tuple(alpha * o + (1 - alpha) * b for o, b in zip(over, behind, strict=False))
            assert contrast(numbers(colour), mixed) >= 4.5, (colour, back, under, name)
