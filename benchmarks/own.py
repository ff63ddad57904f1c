"""``python -m benchmarks own``: tables of one's own, against what a user would take instead."""

from __future__ import annotations

import csv
import json
import os
import random
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.processes import ZOO, fresh_cache
from benchmarks.timing import process

PAGE = Path("docs/own-data.md")
MARKER = "<!-- measured -->"  # Tables are written after it.
SETS = ("sst2", "sms", "hotel-zh", "names")
# Measured with fastText itself, outside of this project: word pairs, 15 epochs, learning rate 0.5,
# 50 dimensions, Chinese split into characters.
FASTTEXT = {"sst2": 0.816, "sms": 0.990, "hotel-zh": 0.879, "names": 0.568}
# The network without one of its parts.
PARTS = {
    "recurrent part alone": ("ngram_weight=0",),
    "words of a vocabulary": ("tokens=words",),
    "the same, recurrent part alone": ("tokens=words", "ngram_weight=0"),
}

Rows = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Run:
    """A default training of zoo, as a process.

    Args:
        accuracy: On the test file.
        linear: Of the linear model of n-grams alone, on the same texts.
        seconds: Wall time, from start to verdict.
    """

    accuracy: float
    linear: float
    seconds: float


def read(path: Path) -> Rows:
    """Return text and label of each row."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def write(rows: Rows, path: Path) -> Path:
    """Write a table of texts and labels."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("text", "label"), *rows])
    return path


def tenth(rows: Rows, seed: int) -> Rows:
    """Return a tenth of the rows of each label, and at least two of each."""
    by_label: dict[str, Rows] = defaultdict(list)
    for row in rows:
        by_label[row[1]].append(row)
    draw = random.Random(seed)
    chosen = [
        row
        for label in sorted(by_label)
        for row in draw.sample(
            by_label[label], min(len(by_label[label]), max(2, round(len(by_label[label]) / 10)))
        )
    ]
    draw.shuffle(chosen)
    return chosen


def baseline(train: Rows, test: Rows, analyzer: str, longest: int) -> float:
    """Return the test accuracy of tf-idf and logistic regression by scikit-learn."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    features = TfidfVectorizer(analyzer=analyzer, ngram_range=(1, longest), sublinear_tf=True)
    model = make_pipeline(features, LogisticRegression(C=10, max_iter=1000))
    model.fit([text for text, _ in train], [label for _, label in train])
    return float(model.score([text for text, _ in test], [label for _, label in test]))


def train(
    data: Path,
    test: Path,
    seed: int,
    settings: Sequence[str] = (),
    *,
    init: str | None = None,
    compiled: bool = True,
) -> Run:
    """Run ``zoo train --data FILE --test FILE`` and read its score.

    Where ``compiled`` is False, the layers are compiled anew.
    """
    with tempfile.TemporaryDirectory() as name, fresh_cache() as env:
        out = Path(name) / "run"
        command = [*ZOO, "train", "--data", str(data), "--test", str(test), "--seed", str(seed)]
        for setting in settings:
            command += ["--set", setting]
        if init is not None:
            command += ["--init", init]
        if not compiled:
            env["XDG_CACHE_HOME"] = name
        done = process([*command, "--out", str(out)], env=env)
        document = json.loads((out / "evaluations.json").read_text(encoding="utf-8"))["test"]
    linear = document["baselines"].get("linear", float("nan"))
    return Run(document["accuracy"], linear, done.seconds)


def measure(folder: Path, name: str, seeds: Sequence[int], scratch: Path) -> dict[str, Any]:
    """Return every figure of one data set; the test file is read for nothing but scores."""
    data, test = folder / f"{name}-train.csv", folder / f"{name}-test.csv"
    rows, test_rows = read(data), read(test)
    whole = [train(data, test, seed, compiled=False) for seed in seeds]
    small = write(tenth(rows, 1), scratch / f"{name}.csv")
    few = [train(small, test, seed) for seed in seeds]
    small_rows = read(small)
    return {
        "name": name,
        "words 1-2": baseline(rows, test_rows, "word", 2),
        "characters 1-4": baseline(rows, test_rows, "char", 4),
        "fastText": FASTTEXT[name],
        "zoo": [run.accuracy for run in whole],
        "linear part": whole[0].linear,
        "seconds": max(run.seconds for run in whole),
        **{part: train(data, test, 1, settings).accuracy for part, settings in PARTS.items()},
        "10 %: words 1-2": baseline(small_rows, test_rows, "word", 2),
        "10 %: characters 1-4": baseline(small_rows, test_rows, "char", 4),
        "10 %: zoo": [run.accuracy for run in few],
    }


def page(results: Sequence[dict[str, Any]]) -> str:
    """Return the tables in Markdown."""
    lines = []
    for title, prefix, columns in (
        ("All training texts", "", ("words 1-2", "characters 1-4", "fastText")),
        ("A tenth of the training texts", "10 %: ", ("words 1-2", "characters 1-4")),
    ):
        lines += [
            f"### {title}",
            "",
            f"| data | {' | '.join(columns)} | zoo, mean of seeds (range) |",
        ]
        lines.append("|" + "---|" * (len(columns) + 2))
        for row in results:
            ours = row[f"{prefix}zoo"]
            cells = [f"{row[prefix + column]:.3f}" for column in columns]
            cells.append(f"{statistics.mean(ours):.3f} ({min(ours):.3f} to {max(ours):.3f})")
            lines.append(f"| {row['name']} | {' | '.join(cells)} |")
        means = [statistics.mean(row[prefix + column] for row in results) for column in columns]
        means.append(statistics.mean(statistics.mean(row[f"{prefix}zoo"]) for row in results))
        lines += [f"| mean | {' | '.join(f'{mean:.4f}' for mean in means)} |", ""]
    names = ("linear part", *PARTS, "seconds")
    lines += ["### What each part gives", "", f"| data | zoo | {' | '.join(names)} |"]
    lines.append("|" + "---|" * (len(names) + 2))
    for row in results:
        cells = [f"{statistics.mean(row['zoo']):.3f}", *(f"{row[part]:.3f}" for part in names[:-1])]
        lines.append(f"| {row['name']} | {' | '.join(cells)} | {row['seconds']:.0f} |")
    return "\n".join(lines)


@click.command()
@click.option("--seeds", default=3, show_default=True, help="Trainings of each table.")
@click.option("--only", multiple=True, type=click.Choice(SETS), help="These data sets alone.")
@click.option("--write/--no-write", "keep", default=True, help="Whether docs/ is written.")
def main(seeds: int, only: tuple[str, ...], keep: bool) -> None:
    """Measure the defaults on the data sets under ZOO_TEST_DATA/own."""
    folder = Path(os.environ.get("ZOO_TEST_DATA") or "../shared/data") / "own"
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in only or SETS:
            results.append(measure(folder, name, range(1, seeds + 1), Path(scratch)))
            click.echo(json.dumps(results[-1]), err=True)
    tables = page(results)
    click.echo(tables)
    if keep and not only:
        text, marker, _ = PAGE.read_text(encoding="utf-8").partition(MARKER)
        PAGE.write_text(f"{text}{marker}\n\n{tables}\n", encoding="utf-8")
        document = json.dumps(results, indent=2, ensure_ascii=False)
        PAGE.with_suffix(".json").write_text(document + "\n", encoding="utf-8")
