"""The documentation agrees with the program: links, commands, scores, the generated page."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plain_sentiment import PLAIN

from zoo.records import CommandInfo, Recipe
from zoo.registry import Registry

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md")])


def test_the_command_line_reference_is_up_to_date() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import generate_cli; print(generate_cli.page(), end='')"],
        cwd=ROOT / "docs",
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not link.startswith(("http://", "https://")):
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_in_the_pages_exist(page: Path, registry: Registry) -> None:
    from zoo.cli.main import COMMANDS

    known = {*COMMANDS, *registry.names(CommandInfo)}
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for command in re.findall(r"^zoo ([a-z]+)", block, re.MULTILINE):
            assert command in known, command


def test_the_weights_load_with_torch_and_safetensors_alone(
    sentiment_run: Path, char_lm_run: Path, train_here: Callable[..., Any], tmp_path: Path
) -> None:
    script = ROOT / "docs" / "load_without_zoo.py"
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert imported == {"json", "sys", "torch"}
    train_here(
        "sentiment/bilstm", tmp_path / "wide", *PLAIN, "steps=3", "ngram_bits=8", "num_layers=2",
        "pooling=last+mean+max", "hidden_size=4", "embed_size=4",
    )  # fmt: skip
    train_here("sentiment/bilstm", tmp_path / "default", "steps=3", "hidden_size=4")
    for run in (sentiment_run, char_lm_run, tmp_path / "wide", tmp_path / "default"):
        done = subprocess.run(
            [sys.executable, script, run / "weights.safetensors"],
            capture_output=True,
            text=True,
            check=True,
        )
        differences = [float(line.split()[1]) for line in done.stdout.splitlines()]
        assert len(differences) == 2
        assert max(differences) < 1e-5


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
    for name in (*COMMANDS, "diagnose"):
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
