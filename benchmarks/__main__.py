"""``python -m benchmarks``: measure everything, write docs/benchmarks.md and .json."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import generation, growth, learning_curve, own, processes, review_text, training
from benchmarks.baseline import Baseline
from benchmarks.material import TEXTBOOK, Material, find
from benchmarks.timing import Pair, process
from zoo.engine.precision import multiplies_bfloat16
from zoo.environment import set_up_process

PAGE = Path("docs/benchmarks.md")
Row = dict[str, Any]


def _pair(number: str, what: str, pair: Pair, unit: str, target: str, ok: bool) -> Row:
    return {
        "number": number,
        "what": what,
        "baseline": pair.baseline,
        "ours": pair.ours,
        "unit": unit,
        "ratio": pair.ratio,
        "ratios": [round(ratio, 2) for ratio in pair.ratios],
        "target": target,
        "reached": ok,
    }


def _single(number: str, what: str, ours: float, unit: str, target: str, ok: bool) -> Row:
    return {
        "number": number,
        "what": what,
        "baseline": None,
        "ours": ours,
        "unit": unit,
        "ratio": None,
        "ratios": [],
        "target": target,
        "reached": ok,
    }


def _speed(material: Material, baseline: Baseline, rounds: int) -> list[Row]:
    rows = []
    for number, model, least in (("1", "lstm", 45), ("2", "bilstm", 35), ("2", "gru", 20)):
        pair = training.reviews(material, baseline, model, rounds)
        what = f"training, {model.upper()} on full-length reviews"
        rows.append(_pair(number, what, pair, "words/s", f">= {least} x", pair.ratio >= least))
    pair, share = training.characters(material, baseline, rounds)
    what = "training, character LSTM of 512"
    rows.append(_pair("6", what, pair, "characters/s", ">= 2.6 x", pair.ratio >= 2.6))
    what = "the same, share of the float32 matmul rate"
    rows.append(_single("6", what, share, "", ">= 0.75", share >= 0.75))
    if multiplies_bfloat16():
        pair = training.bfloat16(material, rounds)
        what = "the same in bfloat16 (baseline: zoo in float32)"
        rows.append(_pair("6", what, pair, "characters/s", ">= 2 x", pair.ratio >= 2))
    return rows


def _writing(baseline: Baseline, folder: Path, rounds: int) -> list[Row]:
    one = generation.samples(baseline, 1, 3000, rounds)
    many = generation.samples(baseline, 64, 500, rounds)
    small = generation.quantized(folder, 3000, rounds)
    what = "generation, LSTM of 512"
    return [
        _pair("8", f"{what}, 1 sample", one, "characters/s", ">= 12,000", one.ours >= 12_000),
        _pair("8", f"{what}, 64 samples", many, "characters/s", ">= 55,000", many.ours >= 55_000),
        _pair(
            "8",
            "generation, int8 without torch (baseline: float32 by torch)",
            small,
            "characters/s",
            ">= 1.9 x",
            small.ratio >= 1.9,
        ),
    ]


def _scores(material: Material, folder: Path) -> list[Row]:
    if not material.real:
        return []
    seconds, score = processes.to_a_score("imdb-quick", material.reviews, folder)
    rows = [
        _single(
            "3",
            f"IMDb archive to {score['accuracy']:.4f} test accuracy",
            seconds,
            "s",
            "<= 40 s, >= 0.851",
            seconds <= 40 and score["accuracy"] >= 0.851,
        )
    ]
    seconds, score = processes.to_a_score("island-quick", material.book, folder)
    rows.append(
        _single(
            "7",
            f"novel to {score['loss']:.4f} nats/character on the test part",
            seconds,
            "s",
            "<= 120 s, <= 1.249",
            seconds <= 120 and score["loss"] <= 1.249,
        )
    )
    return rows


def _pipeline(
    material: Material, baseline: Baseline, weights: Path, folder: Path, rounds: int
) -> list[Row]:
    processes.compile_sources()
    first, again = processes.encoding(material)
    pair = processes.predicting(material, baseline, weights, folder, rounds)
    one = processes.predict_one(weights, 2 * rounds + 1)
    start = processes.start_up(2 * rounds + 1)
    extra = one.ours - one.baseline
    return [
        _single("4", "archive to encoded, first time", first, "s", "<= 6 s", first <= 6),
        _single("4", "archive to encoded, again", again, "s", "<= 0.2 s", again <= 0.2),
        _pair("5", "bulk zoo predict", pair, "reviews/s", ">= 12 x", pair.ratio >= 12),
        _single(
            "9", "zoo --help, 20 more plugins", start["help"], "s", "<= 0.12 s",
            start["help"] <= 0.12,
        ),
        _single(
            "9", "zoo list, 20 more plugins", start["list"], "s", "<= 0.2 s", start["list"] <= 0.2
        ),
        _single(
            "9", "zoo --help over import click, pluggy", start["help"] / start["click"], "x",
            "<= 2.5 x", start["help"] <= 2.5 * start["click"],
        ),
        _single(
            "9", "zoo list over import click, pluggy", start["list"] / start["click"], "x",
            "<= 4 x", start["list"] <= 4 * start["click"],
        ),
        _single(
            "10", "zoo predict FILE TEXT, over import torch", extra, "s", "<= +0.3 s", extra <= 0.3
        ),
    ]  # fmt: skip


def _memory(material: Material, weights: Path, folder: Path, quick: bool) -> list[Row]:
    sizes = [1, 16] if quick else [1, 32, 1000]
    peaks = processes.text_memory(material, folder, sizes)
    counts = [10_000, 40_000] if quick else [10_000, 100_000, 1_000_000]
    taken = processes.predict_memory(weights, folder, counts)
    rows = []
    for size, peak in peaks.items():
        over = peak - peaks[1]
        what = f"char-LM training on {size} MB, peak memory over that on 1 MB"
        rows.append(_single("11", what, over, "MiB", "<= 300 MiB", over <= 300))
    least = taken[counts[0]]
    for count, (peak, seconds) in taken.items():
        what = f"zoo predict of {count:,} lines, peak memory"
        rows.append(_single("12", what, peak, "MiB", "flat", peak <= least[0] + 100))
        what = f"zoo predict of {count:,} lines, microseconds a line"
        rows.append(_single("12", what, seconds / count * 1e6, "µs", "linear", True))
    return rows


def _page(rows: list[Row], curves: list[growth.Growth], machine: Row) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`. Baseline and zoo take turns in one run; figures are medians, and",
        "beside a ratio is the range over the turns. The baseline is the textbook's method,",
        "written again in `benchmarks/textbook.py`.",
        "",
        *(f"- {key}: {value}" for key, value in machine.items()),
        "",
        "| # | figure | textbook | zoo | ratio | target | reached |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        base = f"{row['baseline']:,.4g} {row['unit']}" if row["baseline"] else "-"
        turns = row["ratios"]
        ratio = f"{row['ratio']:.1f} x ({turns[0]:.0f} to {turns[-1]:.0f})" if turns else "-"
        ours = f"{row['ours']:,.4g} {row['unit']}".strip()
        mark = "yes" if row["reached"] else "**no**"
        cells = [row["number"], row["what"], base, ours, ratio, row["target"], mark]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "## Growth",
        "",
        "Seconds, and MiB above those of an idle process, as a size is doubled; the exponent of a",
        "power law through the points, 1 being linear. `hidden_size` is worse than linear because",
        "its weights, and with them the arithmetic, grow with its square.",
        "",
        "| what is doubled | sizes | milliseconds | exponent | MiB | exponent |",
        "|---|---|---|---|---|---|",
    ]
    for curve in curves:
        sizes = ", ".join(f"{size:,}" for size in curve.sizes)
        times = ", ".join(f"{1000 * seconds:.3g}" for seconds in curve.seconds)
        memory = ", ".join(f"{peak:.0f}" for peak in curve.memory)
        of_time, of_memory = curve.exponents
        lines.append(
            f"| {curve.what} | {sizes} | {times} | {of_time:.2f} | {memory} | {of_memory:.2f} |"
        )
    notes = Path(__file__).with_name("notes.md").read_text(encoding="utf-8")
    return "\n".join(lines) + "\n\n" + notes


def _machine(material: Material) -> Row:
    name = "unknown"
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = found[0].partition(":")[2].strip() if found else name
    return {
        "processor": f"{name}, {torch.get_num_threads()} threads",
        "system": platform.platform(),
        "versions": f"Python {platform.python_version()}, torch {version('torch')}, "
        f"seqzoo {version('seqzoo')}",
        "data": "IMDb and The Mysterious Island" if material.real else "generated",
        "GPU": "not measured",
    }


@click.group(invoke_without_command=True)
@click.pass_context
@click.option("--rounds", default=5, show_default=True, help="Turns that each pair takes.")
@click.option("--quick", is_flag=True, help="Small sizes, two turns; nothing is written to docs/.")
@click.option("--only", multiple=True, help="speed, writing, scores, pipeline, memory or growth.")
def main(context: click.Context, rounds: int, quick: bool, only: tuple[str, ...]) -> None:
    """Measure every figure against its baseline, and write the table."""
    if context.invoked_subcommand:
        return
    set_up_process()
    rounds = min(rounds, 2) if quick else rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        material = find(folder)
        baseline = Baseline(material, folder)
        run = folder / "book"
        process(
            [*processes.ZOO, "train", TEXTBOOK, "--data", str(material.reviews), "--steps", "20",
             "--no-test", "--out", str(run)]
        )  # fmt: skip
        weights = run / "weights.safetensors"
        parts: dict[str, Callable[[], list[Row]]] = {
            "speed": lambda: _speed(material, baseline, rounds),
            "writing": lambda: _writing(baseline, folder, rounds),
            "scores": lambda: _scores(material, folder),
            "pipeline": lambda: _pipeline(material, baseline, weights, folder, rounds),
            "memory": lambda: _memory(material, weights, folder, quick),
        }
        rows = []
        for part, measure in parts.items():
            if not only or part in only:
                found = measure()
                rows += found
                for row in found:
                    click.echo(json.dumps(row), err=True)
        curves = growth.measure() if not only or "growth" in only else []
        rows.sort(key=lambda row: int(row["number"]))
        page = _page(rows, curves, _machine(material))
        click.echo(page)
        if not quick and not only:
            PAGE.write_text(page, encoding="utf-8")
            document = {
                "machine": _machine(material),
                "figures": rows,
                "growth": [
                    {
                        "what": c.what,
                        "sizes": list(c.sizes),
                        "seconds": list(c.seconds),
                        "mebibytes": list(c.memory),
                        "exponents": list(c.exponents),
                    }
                    for c in curves
                ],
            }
            text = json.dumps(document, indent=2, ensure_ascii=False)
            PAGE.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    sys.exit(0)


main.add_command(own.main, "own")
main.add_command(learning_curve.main, "curve")
main.add_command(review_text.main, "review-text")


if __name__ == "__main__":
    main()
