"""Figures 3, 4, 5, 7, 9 to 12: whole processes, from outside."""

from __future__ import annotations

import compileall
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.baseline import Baseline
from benchmarks.material import Material
from benchmarks.timing import Pair, interleaved, process, rate

ZOO = (sys.executable, "-m", "zoo")
# 800,000 texts, so that starting the process, which the textbook's loop does not do, counts little.
TIMES_TEXTS = 100


def compile_sources() -> None:
    """Compile zoo to bytecode, as pip does for packages that it installs.

    With PYTHONDONTWRITEBYTECODE, each process would compile an editable installation anew.
    """
    for folder in ("zoo", "plugins"):
        compileall.compile_dir(folder, quiet=2)


@contextmanager
def fresh_cache() -> Iterator[dict[str, str]]:
    """Yield an environment in which nothing was ever encoded."""
    with tempfile.TemporaryDirectory() as folder:
        yield {**os.environ, "ZOO_CACHE": folder}


def to_a_score(row: str, data: Path, folder: Path) -> tuple[float, dict[str, float]]:
    """Figures 3 and 7: seconds to train a row and score it on the test part, and the score."""
    run = folder / row
    with fresh_cache() as env:
        command = [*ZOO, "train", row, "--data", str(data), "--out", str(run)]
        trained = process([*command, "--no-test", "--no-report"], env=env)
        scored = process([*ZOO, "evaluate", str(run), "--json"], env=env)
    return trained.seconds + scored.seconds, json.loads(scored.output)


def encoding(material: Material) -> tuple[float, float]:
    """Figure 4: seconds from archive to arrays ready to train, the first time and again."""
    code = (
        "import sys, time; from pathlib import Path; from zoo_sentiment.corpus import load; "
        "started = time.perf_counter(); load(Path(sys.argv[1])); "
        "print(time.perf_counter() - started)"
    )
    command = [sys.executable, "-c", code, str(material.reviews)]
    with fresh_cache() as env:
        first = float(process(command, env=env).output)
        again = float(process(command, env=env).output)
    return first, again


def predicting(
    material: Material, baseline: Baseline, weights: Path, folder: Path, rounds: int
) -> Pair:
    """Figure 5: reviews a second of ``zoo predict``, against the textbook's evaluation loop."""
    texts = material.texts
    lines = folder / "lines.txt"
    some_lines = "".join(" ".join(text.split()) + "\n" for text, _ in texts)
    with lines.open("w", encoding="utf-8") as file:
        for _ in range(TIMES_TEXTS):
            file.write(some_lines)

    def ours() -> float:
        process([*ZOO, "predict", str(weights)], stdin=str(lines), keep=False)
        return TIMES_TEXTS * len(texts)

    pair = interleaved(lambda: baseline.rate("evaluate"), lambda: rate(ours), rounds)
    lines.unlink()
    return pair


@contextmanager
def twenty_plugins() -> Iterator[dict[str, str]]:
    """Yield an environment with twenty more plugins of a model each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(20):
            module = f"zoo_extra_{number}"
            (folder / f"{module}.py").write_text(
                "import zoo\n\n\n@zoo.hookimpl\ndef zoo_models():\n"
                f"    return [zoo.ModelInfo(name='extra-{number}', summary='One more', "
                f"target='{module}:X', causal=True)]\n"
            )
            info = folder / f"{module}-1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(f"[zoo]\nextra-{number} = {module}\n")
        yield {**os.environ, "PYTHONPATH": name}


def start_up(rounds: int) -> dict[str, float]:
    """Figure 9: seconds of ``zoo --help`` and ``zoo list``, and of importing click and pluggy."""
    command = str(Path(sys.executable).with_name("zoo"))
    ways = {
        "help": [command, "--help"],
        "list": [command, "list"],
        "click": [sys.executable, "-c", "import click, pluggy"],
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with twenty_plugins() as env:
        for name, way in [*ways.items()] * (rounds + 1):
            taken[name].append(process(way, env=env).seconds)
        bare = [process([sys.executable, "-S", "-c", ""], env=env).seconds for _ in range(rounds)]
    # What starting the watching process costs is in all of them alike.
    watcher = min(bare) / 2
    return {name: sorted(times[1:])[rounds // 2] - watcher for name, times in taken.items()}


def predict_one(weights: Path, rounds: int) -> Pair:
    """Figure 10: seconds of ``zoo predict FILE TEXT``, and of ``import torch``."""
    return interleaved(
        lambda: process([sys.executable, "-c", "import torch"]).seconds,
        lambda: process([*ZOO, "predict", str(weights), "A film to remember."]).seconds,
        rounds,
    )


def text_memory(material: Material, folder: Path, megabytes: list[int]) -> dict[int, float]:
    """Figure 11: peak memory in MiB of training on a text of so many megabytes, for 20 steps."""
    source = material.book.read_text(encoding="utf-8-sig")[:1_000_000]
    peaks = {}
    for size in megabytes:
        path = folder / f"{size}.txt"
        with path.open("w", encoding="utf-8") as file:
            for _ in range(size):
                file.write(source)
        with fresh_cache() as env:
            done = process(
                [*ZOO, "train", "char-lm/lstm", "--data", str(path), "--steps", "20",
                 "--no-test", "--out", str(folder / f"memory-{size}"), "--set", "hidden_size=128",
                 "--set", "task.validation_size=0.00001", "--set", "task.test_size=0.00001"],
                env=env,
            )  # fmt: skip
        peaks[size] = done.peak
        path.unlink()
    return peaks


def predict_memory(
    weights: Path, folder: Path, counts: list[int]
) -> dict[int, tuple[float, float]]:
    """Figure 12: peak memory in MiB and seconds of predicting so many lines."""
    draw = random.Random(0)
    words = [
        "the",
        "film",
        "was",
        "good",
        "bad",
        "dull",
        "superb",
        "and",
        "but",
        "not",
        "very",
        "plot",
        "acting",
        "music",
    ]
    line = [" ".join(draw.choices(words, k=draw.randint(5, 25))) + "\n" for _ in range(10_000)]
    taken = {}
    for count in counts:
        path = folder / "many.txt"
        with path.open("w", encoding="utf-8") as file:
            for _ in range(count // len(line)):
                file.writelines(line)
        done = process([*ZOO, "predict", str(weights)], stdin=str(path), keep=False)
        taken[count] = (done.peak, done.seconds)
    return taken
