"""``python -m benchmarks curve``: accuracy by number of labelled texts, with initial weights."""

from __future__ import annotations

import json
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from benchmarks.material import ARCHIVE
from benchmarks.own import Rows, read, train, write

SIZES = (100, 300, 1_000, 3_000, 10_000)
SETS = ("sst2", "imdb")
BASELINE, FRESH = "TF-IDF + LR", "from scratch"
# Reviews of the IMDb training part whose films are those of no training text.
_HELD_OUT = 5_000


@dataclass(frozen=True, slots=True)
class Point:
    """One method on one number of texts.

    Args:
        data: The data set.
        size: Labelled texts, those for validation among them.
        method: :data:`BASELINE`, :data:`FRESH` or the initial weights.
        part: What the accuracies are of: ``validation`` or ``test``.
        accuracies: For each seed, which also draws the texts.
        seconds: Longest of the trainings, as whole processes.
    """

    data: str
    size: int
    method: str
    part: str
    accuracies: list[float]
    seconds: float


def parts(folder: Path, name: str) -> dict[str, Rows]:
    """Return the rows of a data set for training, validation and test.

    The validation part of IMDb is of other films than the training part.
    """
    if name != "imdb":
        named = {"train": "train", "validation": "dev", "test": "test"}
        return {part: read(folder / "own" / f"{name}-{file}.csv") for part, file in named.items()}
    from zoo_sentiment.reviews import read as read_archive

    source = read_archive(folder / ARCHIVE)
    by_film: dict[str, Rows] = defaultdict(list)
    for review in source.reviews:
        if review.part == "train":
            film = source.films[review.part, review.label][review.number]
            by_film[film].append((review.text, review.label))
    films = sorted(by_film)
    random.Random(1).shuffle(films)
    rows = [row for film in films for row in by_film[film]]
    test = [(review.text, review.label) for review in source.reviews if review.part == "test"]
    return {"train": rows[_HELD_OUT:], "validation": rows[:_HELD_OUT], "test": test}


def draw(rows: Rows, size: int, seed: int) -> Rows:
    """Return some rows, as many of each label; a smaller number of the same seed is among them."""
    by_label: dict[str, Rows] = defaultdict(list)
    for row in rows:
        by_label[row[1]].append(row)
    chosen: Rows = []
    for label, of_label in sorted(by_label.items()):
        random.Random(f"{seed} {label}").shuffle(of_label)
        chosen += of_label[: size // len(by_label)]
    random.Random(seed).shuffle(chosen)
    return chosen


def baseline(rows: Rows, scored: Rows) -> float:
    """Return the accuracy of TF-IDF of words and pairs and logistic regression by scikit-learn.

    ``C`` is chosen by cross-validation on the training texts.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=1000)
    )
    grid = {"logisticregression__C": [0.1, 1.0, 10.0, 100.0]}
    search = GridSearchCV(model, grid, cv=5 if len(rows) <= 1000 else 3)
    search.fit([text for text, _ in rows], [label for _, label in rows])
    return float(search.score([text for text, _ in scored], [label for _, label in scored]))


def measure(
    name: str,
    size: int,
    found: dict[str, Rows],
    part: str,
    seeds: Sequence[int],
    inits: Sequence[str],
    settings: Sequence[str],
    scratch: Path,
) -> list[Point]:
    """Measure every method on a number of texts."""
    scored = write(found[part], scratch / f"{name}-{part}.csv")
    drawn = [draw(found["train"], size, seed) for seed in seeds]
    started = time.perf_counter()
    accuracies = [baseline(rows, found[part]) for rows in drawn]
    seconds = (time.perf_counter() - started) / len(seeds)
    points = [Point(name, size, BASELINE, part, accuracies, seconds)]
    files = [
        write(rows, scratch / f"{name}-{size}-{seed}.csv")
        for seed, rows in zip(seeds, drawn, strict=True)
    ]
    for init in ("", *inits):
        runs = [
            train(file, scored, seed, settings if init else (), init=init)
            for seed, file in zip(seeds, files, strict=True)
        ]
        points.append(
            Point(
                name, size, init or FRESH, part, [run.accuracy for run in runs],
                max(run.seconds for run in runs),
            )
        )  # fmt: skip
    return points


def table(points: Sequence[Point]) -> str:
    """Return the points in Markdown: a row for each number of texts, a column for each method."""
    methods = list(dict.fromkeys(point.method for point in points))
    lines = [f"| data | texts | {' | '.join(methods)} |", "|" + "---|" * (2 + len(methods))]
    for data, size in dict.fromkeys((point.data, point.size) for point in points):
        cells = {}
        for point in points:
            if (point.data, point.size) == (data, size):
                low, high = min(point.accuracies), max(point.accuracies)
                mean = statistics.mean(point.accuracies)
                cells[point.method] = f"{mean:.3f} ({low:.3f} to {high:.3f})"
        lines.append(f"| {data} | {size:,} | {' | '.join(cells.get(m, '') for m in methods)} |")
    return "\n".join(lines)


@click.command(
    epilog="""\b
Examples:
  python -m benchmarks curve --init runs/reviews-lm
  python -m benchmarks curve --only sst2 --size 100 --size 300 --init imdb-bilstm
"""
)
@click.option("--init", "inits", multiple=True, help="Weights to start from; more than one may be.")
@click.option("--only", multiple=True, type=click.Choice(SETS), help="These data sets alone.")
@click.option("--size", "sizes", multiple=True, type=int, help="These numbers of texts alone.")
@click.option("--seeds", default=3, show_default=True, help="Trainings of each method.")
@click.option("--set", "settings", multiple=True, help="A setting of trainings with --init.")
@click.option("--test", "on_test", is_flag=True, help="Score the test part, not the validation.")
@click.option("--out", type=click.Path(path_type=Path), help="A JSON file of all points.")
def main(
    inits: tuple[str, ...],
    only: tuple[str, ...],
    sizes: tuple[int, ...],
    seeds: int,
    settings: tuple[str, ...],
    on_test: bool,
    out: Path | None,
) -> None:
    """Measure accuracy by number of labelled texts, with and without initial weights.

    The texts are drawn from the training part of the data sets under ZOO_TEST_DATA. Choose by the
    validation part; --test reads the test part, once everything is chosen.
    """
    folder = Path(os.environ.get("ZOO_TEST_DATA") or "../shared/data")
    part = "test" if on_test else "validation"
    points: list[Point] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in only or SETS:
            found = parts(folder, name)
            for size in sizes or SIZES:
                if size > len(found["train"]):
                    continue
                points += measure(
                    name, size, found, part, range(1, seeds + 1), inits, settings, Path(scratch)
                )
                for point in points[-2 - len(inits) :]:
                    click.echo(json.dumps(asdict(point)), err=True)
                if out:
                    out.write_text(
                        json.dumps([asdict(point) for point in points], indent=2) + "\n",
                        encoding="utf-8",
                    )
    click.echo(table(points))
