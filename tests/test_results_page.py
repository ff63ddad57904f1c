"""docs/results.md: up to date; its figures, sources and readings of test parts."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo import installed
from zoo.records import Recipe
from zoo.registry import Registry

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGE = (DOCS / "results.md").read_text(encoding="utf-8")
NOTES = tomllib.loads((DOCS / "_results" / "notes.toml").read_text(encoding="utf-8"))
REGISTRY = tomllib.loads((ROOT / "registry.toml").read_text(encoding="utf-8"))
MEASURED = {name: each for name, each in REGISTRY["recipes"].items() if "metrics" in each}
measured = pytest.mark.parametrize("name", MEASURED)


def run_docs(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code where docs/ is importable."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=DOCS, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def tables(page: str) -> list[list[list[str]]]:
    """Return the tables of a page, as rows of cells; the first row has the headings."""
    found = re.findall(r"(?:^\|.*\n)+", page, flags=re.M)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        for table in found
    ]


def row_of(page: str, name: str, heading: str) -> dict[str, str]:
    """Return the row of a recipe in the table that has a heading."""
    for headings, _, *rows in tables(page):
        for row in rows:
            if heading in headings and row[0] == f"`{name}`":
                return dict(zip(headings, row, strict=True))
    raise AssertionError(f"no row of {name}")


def test_the_page_is_up_to_date() -> None:
    made = run_docs("import make_results; print(make_results.page(), end='')")
    assert made.returncode == 0, made.stderr
    assert made.stdout == PAGE, "run `make results`"


@measured
def test_scores_are_those_of_the_registry(name: str) -> None:
    metrics = MEASURED[name]["metrics"]
    main = "accuracy" if "accuracy" in metrics else "loss"
    row = row_of(PAGE, name, "95 % interval")
    assert f"{metrics[main]:.4f}" in row.values()
    assert row["95 % interval"] == f"{metrics[f'{main}_low']:.4f} to {metrics[f'{main}_high']:.4f}"
    if main == "loss":
        assert row["bits a character"] == f"{metrics['bits_per_character']:.4f}"
        if "perplexity" in metrics:  # Of words, which have several characters.
            assert math.isclose(math.exp(metrics["loss"]), metrics["perplexity"], rel_tol=1e-4)
        else:
            bits = metrics["loss"] / math.log(2)
            assert math.isclose(bits, metrics["bits_per_character"], abs_tol=2e-4)


def header(path: Path) -> dict[str, Any]:
    """Read the header of a safetensors file without a library."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return dict(json.loads(file.read(length)))


def num_values(path: Path) -> int:
    """Return how many numbers a safetensors file has."""
    tensors = header(path)
    tensors.pop("__metadata__")
    return sum(math.prod(tensor["shape"]) for tensor in tensors.values())


@measured
def test_sizes_and_times_are_those_of_the_registry_and_the_files(name: str) -> None:
    recipe = MEASURED[name]
    row = row_of(PAGE, name, "parameters")
    if "weights" in recipe:
        file = ROOT / "zoo" / recipe["weights"]["file"]
        assert row["weights file"] == f"{file.stat().st_size / 1e6:.2f} MB"
        assert row["parameters"] == f"{num_values(file):,}"
    if "seconds" in recipe:
        assert (row["time"], row["of what"]) == (f"{recipe['seconds']} s", "whole process")
        assert row["machine"]


def test_numbers_of_parameters_follow_from_the_sizes_of_the_layers() -> None:
    def lstm(inputs: int, hidden: int) -> int:
        return 4 * hidden * (inputs + hidden) + 8 * hidden

    characters = 80 * 64 + lstm(64, 512) + 80 * 512 + 80
    assert row_of(PAGE, "island-quick", "parameters")["parameters"] == f"{characters:,}"
    words, _ = header(ROOT / "zoo/published/imdb-bilstm-book.safetensors")["embedding.weight"][
        "shape"
    ]
    reviews = words * 20 + lstm(20, 64) + 64 * 64 + 64 + 64 + 1
    assert row_of(PAGE, "imdb-lstm-book", "parameters")["parameters"] == f"{reviews:,}"


def test_every_recipe_is_on_the_page(registry: Registry) -> None:
    for recipe in registry.all(Recipe):
        assert f"`{recipe.name}`" in PAGE


def test_every_published_score_has_a_protocol_and_a_source_with_year_and_address() -> None:
    lines = [row for table in tables(PAGE) if "trained on" in table[0] for row in table[2:]]
    assert len(lines) == len(NOTES["published"])
    for each in NOTES["published"]:
        source = NOTES["sources"][each["source"]]
        link = f"[{source['short']}, {source['year']}]({source['address']})"
        assert [each["method"], each["score"], each["trained_on"], link] in lines
    for source in NOTES["sources"].values():
        address = source["address"]
        assert address.startswith("https://") or (DOCS / address).exists()
        assert source["title"] in " ".join(PAGE.split())
        assert 1990 < source["year"] < 2100


@measured
def test_the_reading_that_a_score_came_from_is_written_down_once(name: str) -> None:
    found = [each for each in NOTES["readings"] if each["recipe"] == name and "score" not in each]
    assert len(found) == 1, f"add the reading of {name} to docs/_results/notes.toml"


def test_figures_of_what_did_not_work_are_on_the_pages_that_are_named() -> None:
    assert len(NOTES["failures"]) > 10
    for each in NOTES["failures"]:
        figures = re.findall(r"\d\.\d+", re.sub(r"\{.*?\}", "", each["text"]))
        if "page" in each:
            text = (DOCS / each["page"]).read_text(encoding="utf-8")
            assert [figure for figure in figures if figure not in text] == []
        else:
            assert figures == []


def test_tables_have_at_most_six_columns() -> None:
    assert max(len(table[0]) for table in tables(PAGE)) <= 6


MORE = """
[data.pages]
summary = "Pages"
url = "https://example.org/pages.txt"
sha256 = "00"
bytes = 1

[recipes.pages-lm]
summary = "Words of pages"
task = "char-lm"
model = "lstm"
data = "pages"
metrics = { split = "test", examples = 5, loss = 4.25, loss_low = 4.2, loss_high = 4.3, perplexity = 70.1054, bits_per_character = 1.31 }

[recipes.best]
summary = "A better one"
task = "sentiment"
model = "lstm"
data = "imdb"
metrics = { split = "test", examples = 25000, accuracy = 0.95, accuracy_low = 0.9472, accuracy_high = 0.9526 }

[recipes.prices]
summary = "Numbers"
task = "text-regression"
model = "lstm"
metrics = { split = "test", examples = 9, mae = 0.5, mae_low = 0.4, mae_high = 0.6 }

[recipes.later]
summary = "Without a score"
task = "sentiment"
model = "gru"
"""  # noqa: E501


def test_recipes_that_are_new_have_rows_without_an_edit(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "zoo" / "published", tmp_path / "published")
    text = (ROOT / "registry.toml").read_text(encoding="utf-8")
    (tmp_path / "registry.toml").write_text(text + MORE, encoding="utf-8")
    made = run_docs(
        "import make_results; print(make_results.page())",
        ZOO_REGISTRY=str(tmp_path / "registry.toml"),
    )
    assert made.returncode == 0, made.stderr
    words = row_of(made.stdout, "pages-lm", "perplexity a word")
    assert list(words.values())[2:] == ["70.11", "4.2500", "4.2000 to 4.3000", "1.3100"]
    reviews = next(table for table in tables(made.stdout) if "accuracy" in table[0])
    assert [row[0] for row in reviews[2:4]] == ["`best`", "`imdb-pretrained`"]
    assert row_of(made.stdout, "prices", "mae")["95 % interval"] == "0.4000 to 0.6000"
    assert "* `later`: Without a score." in made.stdout


RECIPE = """
[recipes.small]
summary = "Three steps"
task = "sentiment"
model = "lstm"
settings.model = { hidden_size = 8 }
settings.training = { steps = 3 }
"""
NOTE = """
import sys
from pathlib import Path
from _results import figures

import zoo

found = figures.of_run(Path(sys.argv[1]))
run = zoo.open_run(sys.argv[1])
found.append(figures.rate(found[0].recipe, run.model, run.data, "RUN"))
figures.note(found, Path(sys.argv[2]))
"""


def test_size_time_and_rate_of_a_run_are_noted(
    train_here: Callable[..., zoo.Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes, table, run = tmp_path / "recipes.toml", tmp_path / "figures.csv", tmp_path / "run"
    recipes.write_text(RECIPE, encoding="utf-8")
    monkeypatch.setenv("ZOO_REGISTRY", str(recipes))
    installed.forget()
    train_here("small", run)
    train_here("small", tmp_path / "other", "hidden_size=4")
    installed.forget()
    shutil.copy(DOCS / "_results" / "figures.csv", table)
    before = table.read_text(encoding="utf-8").splitlines()
    for _ in range(2):  # The second time the rows are replaced.
        assert run_docs(NOTE, run, table).returncode == 0
    with table.open(encoding="utf-8", newline="") as file:
        found = {row["what"]: row for row in csv.DictReader(file) if row["recipe"] == "small"}
    assert len(table.read_text(encoding="utf-8").splitlines()) == len(before) + 3
    assert int(found["rate"]["value"]) > 0
    assert found["parameters"]["value"] == str(num_values(run / "weights.safetensors"))
    (written,) = header(run / "checkpoint.safetensors")["__metadata__"].values()
    assert found["training"]["value"] == f"{json.loads(written)['state']['seconds']:.1f}"
    assert found["training"]["machine"].endswith(", 1 thread")
    assert found["training"]["command"] == "zoo train small --seed 1"
    refused = run_docs(NOTE, tmp_path / "other", table)
    assert "the run has other settings than its recipe" in refused.stderr


def test_a_target_that_is_none_is_refused_in_a_line() -> None:
    command = [sys.executable, str(DOCS / "make_results.py"), "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: no run directory in nowhere; give one, or RECIPE=DATA\n"
