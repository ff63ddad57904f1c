"""The documentation agrees with the program: links, commands, scores, the generated page."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from plain_sentiment import PLAIN

from zoo.records import CommandInfo, Recipe
from zoo.registry import Registry

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/README.md")])


def test_the_command_line_reference_is_up_to_date() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import generate_cli; print(generate_cli.page(), end='')"],
        cwd=ROOT / "docs",
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), "run `make docs`"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    names: Counter[str] = Counter()
    found = set()
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            text = "".join(part.content for part in inline.children or ())
            name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.add(f"{name}-{names[name]}" if names[name] else name)
            names[name] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text):
        if not link.startswith(("http://", "https://")):
            target = page.parent / link if link else page
            assert target.exists(), link
            if anchor:
                assert target.suffix == ".md", link
                assert anchor in anchors(target), f"{link}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_in_the_pages_exist(page: Path, registry: Registry) -> None:
    from zoo.cli.main import COMMANDS

    known = {*COMMANDS, *registry.names(CommandInfo)}
    text = page.read_text(encoding="utf-8")
    if "<!-- venv -->" in text:
        return  # Its commands may be those of a plugin that it installs; they are executed.
    for block in re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL):
        for command in re.findall(r"^(?:\$ )?zoo ([a-z]+)", block, re.MULTILINE):
            assert command in known, command


def differences(script: str, file: Path) -> list[float]:
    """Run a script of the documentation on a weights file; return what it prints."""
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / script, file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [float(line.split()[1]) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("script", "libraries"),
    [
        ("load_without_zoo.py", {"json", "sys", "torch", "safetensors"}),
        ("load_without_zoo_numpy.py", {"json", "sys", "numpy", "safetensors"}),
    ],
)
def test_scripts_that_load_without_zoo_import_no_zoo(script: str, libraries: set[str]) -> None:
    tree = ast.walk(ast.parse((ROOT / "docs" / script).read_text(encoding="utf-8")))
    imported: set[str] = set()
    for node in tree:
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module))
    assert imported == libraries


@pytest.mark.parametrize("script", ["load_without_zoo.py", "load_without_zoo_numpy.py"])
def test_the_weights_load_without_zoo(
    script: str, sentiment_run: Path, char_lm_run: Path, train_here: Callable[..., Any],
    tmp_path: Path,
) -> None:  # fmt: skip
    train_here(
        "sentiment/bilstm", tmp_path / "wide", *PLAIN, "steps=3", "ngram_bits=8", "num_layers=2",
        "pooling=last+mean+max", "hidden_size=4", "embed_size=4",
    )  # fmt: skip
    train_here("sentiment/bilstm", tmp_path / "default", "steps=3", "hidden_size=4")
    for run in (sentiment_run, char_lm_run, tmp_path / "wide", tmp_path / "default"):
        found = differences(script, run / "weights.safetensors")
        assert len(found) == 2
        assert max(found) < 1e-5


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("rnn", ["num_layers=2"]),
        ("lstm", ["initial_state=learned", "num_layers=2"]),
        ("gru", ["num_layers=3"]),
        ("birnn", ["merge=sum", "num_layers=2"]),
        ("bilstm", ["merge=mul", "initial_state=learned"]),
        ("bigru", ["merge=mean", "num_layers=2"]),
    ],
)
def test_numpy_computes_every_recurrent_model(
    model: str, settings: list[str], train_here: Callable[..., Any], tmp_path: Path
) -> None:
    train_here(
        f"sentiment/{model}", tmp_path / "run", *PLAIN, "steps=3", "hidden_size=5", "embed_size=4",
        "pooling=last+mean+max", *settings,
    )  # fmt: skip
    file = tmp_path / "run" / "weights.safetensors"
    assert max(differences("load_without_zoo_numpy.py", file)) < 1e-5


@pytest.mark.parametrize("page", ["README.md", "docs/chapter.md"])
def test_scores_in_the_pages_are_those_of_the_registry(page: str, registry: Registry) -> None:
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    scores = [line for line in lines if re.match(r"\| `[\w-]+` \|.* to ", line)]
    assert len(scores) >= 5
    for line in scores:
        metrics = registry.get(Recipe, line.split("`")[1]).metrics
        main = "accuracy" if "accuracy" in metrics else "loss"
        value, low, high = (metrics[f"{main}{end}"] for end in ("", "_low", "_high"))
        assert f"{value:.4f}" in line, line
        assert f"({low:.4f} to {high:.4f})" in line, line


def test_every_option_of_every_command_has_a_help_text() -> None:
    import click

    from zoo.cli.main import COMMANDS, cli

    context = click.Context(cli)
    for name in (*COMMANDS, "compare", "diagnose", "explain", "report", "runs", "serve", "sweep"):
        command = cli.get_command(context, name)
        assert command is not None
        commands = (
            list(command.commands.values()) if isinstance(command, click.Group) else [command]
        )
        for each in commands:
            assert "Examples:" in (each.epilog or ""), name
            for parameter in each.params:
                if isinstance(parameter, click.Option):
                    assert parameter.help, f"{name} {parameter.name}"


def test_the_table_of_the_chapter_is_complete_and_its_tests_exist() -> None:
    lines = (ROOT / "docs" / "chapter.md").read_text(encoding="utf-8").splitlines()
    table = [line.strip("| ").split(" | ") for line in lines if re.match(r"\| [A-F]\d \|", line)]
    counts = {"A": 2, "B": 6, "C": 4, "D": 5, "E": 5, "F": 5}
    wanted = {f"{part}{n}" for part, count in counts.items() for n in range(1, count + 1)}
    assert {cells[0] for cells in table} == wanted
    for row, _, commands, test in table:
        assert commands.startswith(("`zoo ", "`make ")), row
        file, _, name = test.strip("`").partition("::")
        source = (ROOT / file if "/" in file else ROOT / "tests" / file).read_text(encoding="utf-8")
        assert f"def {name}(" in source, f"{row}: {test}"
