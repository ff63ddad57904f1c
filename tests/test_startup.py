"""What a command imports: asking for help or for a list must not wait for torch."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.discovery import installed

Imported = Callable[..., set[str]]

HEAVY = {"torch", "numpy", "torchtext", "safetensors", "tqdm", "pooch", "requests", "matplotlib"}
PLUGINS = {point.module.partition(".")[0] for point in installed()}
ZOO = """
from zoo.cli.main import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
"""


@pytest.fixture
def imported(tmp_path: Path) -> Imported:
    """Run a program in a process of its own and return the modules that it has imported."""

    def run(source: str, *arguments: object) -> set[str]:
        out = tmp_path / "modules.json"
        dump = f"json.dump(list(sys.modules), open({str(out)!r}, 'w'))"
        program = f"import sys, json\n{source}\n{dump}"
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return set(json.loads(out.read_text()))

    return run


def top(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_help_imports_no_plugin_and_of_other_people_s_packages_click_and_pluggy_alone(
    imported: Imported,
) -> None:
    known = set(importlib.metadata.packages_distributions())
    before, after = top(imported("")), top(imported(ZOO, "--help"))
    assert (after - before) & known - {"zoo"} == {"click", "pluggy"}
    assert not after & PLUGINS


@pytest.mark.parametrize(("command", "times"), [("--help", 2), ("list", 2.5)])
def test_start_up_imports_a_few_times_as_many_modules_as_click_and_pluggy(
    command: str, times: float, imported: Imported
) -> None:
    assert len(imported(ZOO, command)) <= times * len(imported("import click, pluggy"))


@pytest.mark.parametrize(
    "command",
    [
        ("list",),
        ("list", "*lstm*", "--json"),
        ("plugins",),
        ("show", "lstm"),
        ("show", "sentiment"),
        ("show", "sample-lstm", "--json"),
        ("train", "--help"),
    ],
    ids=" ".join,
)
def test_looking_things_up_imports_no_torch(command: tuple[str, ...], imported: Imported) -> None:
    modules = imported(ZOO, *command)
    assert not top(modules) & HEAVY
    asked_for_plugins = "--help" not in command
    assert bool(modules & PLUGINS) == asked_for_plugins


def test_looking_things_up_imports_no_task_and_no_model(imported: Imported) -> None:
    """The records of a plugin are in its first module; what they stand for is not needed."""
    assert {name for name in imported(ZOO, "list") if top({name}) & PLUGINS} == PLUGINS


@pytest.mark.parametrize("source", ["import zoo", "import zoo; zoo.ModelInfo, zoo.ZooError"])
def test_importing_zoo_imports_neither_torch_nor_a_plugin(source: str, imported: Imported) -> None:
    assert not top(imported(source)) & (HEAVY | PLUGINS)


def test_inspecting_weights_imports_no_plugin(sentiment_run: Path, imported: Imported) -> None:
    assert not top(imported(ZOO, "inspect", sentiment_run, "--json")) & PLUGINS
