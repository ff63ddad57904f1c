"""What a command imports: help and lists do not wait for torch, and --no-plugins is in time."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.entry_points import read_points

Imported = Callable[..., set[str]]

HEAVY = {
    "torch",
    "numpy",
    "scipy",
    "sklearn",
    "torchtext",
    "safetensors",
    "tqdm",
    "requests",
    "matplotlib",
    "rich",
    "fastapi",
    "uvicorn",
    "optuna",
    "mlflow",
}
PLUGINS = {point.package for point in read_points()}
OURS = {
    "zoo_recurrent", "zoo_text", "zoo_sentiment", "zoo_lm", "zoo_optim", "zoo_diagnose",
    "zoo_tensorboard", "zoo_mlflow", "zoo_explain", "zoo_report", "zoo_runs", "zoo_serve",
}  # fmt: skip
ZOO = """
from zoo.cli.main import main
try:
    main()
except SystemExit as ended:
    code = ended.code
"""


@pytest.fixture
def imported(tmp_path: Path) -> Imported:
    """Run a program in a process of its own and return the modules that it has imported.

    ``code`` is the exit code that a command has to end with.
    """

    def run(
        source: str, *arguments: object, code: int = 0, env: dict[str, str] | None = None
    ) -> set[str]:
        out = tmp_path / "modules.json"
        dump = f"json.dump(list(sys.modules), open({str(out)!r}, 'w'))"
        program = f"import sys, json\ncode = 0\n{source}\n{dump}\nassert code == {code}, code"
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return set(json.loads(out.read_text()))

    return run


def top(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


# Help


def test_help_imports_few_packages_and_no_plugin_once_commands_are_cached(
    imported: Imported,
) -> None:
    imported(ZOO, "--help")
    known = set(importlib.metadata.packages_distributions())
    before, after = top(imported("")), top(imported(ZOO, "--help"))
    assert (after - before) & known - {"zoo"} == {"click"}
    assert not after & PLUGINS


def test_help_lists_the_commands_of_plugins_whether_the_cache_is_writable_or_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = tmp_path / "cache"
    for folder in (cache, cache, tmp_path / "file" / "cache"):
        done = subprocess.run(
            [sys.executable, "-m", "zoo", "--help"],
            env={**os.environ, "ZOO_CACHE": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "\n  diagnose  " in done.stdout
    assert [path.name for path in cache.iterdir()] == ["plugins.json"]


@pytest.mark.parametrize(("command", "times"), [("--help", 2.2), ("list", 2.5)])
def test_commands_start_with_a_few_times_the_modules_of_click_and_pluggy(
    command: str, times: float, imported: Imported
) -> None:
    imported(ZOO, command)
    assert len(imported(ZOO, command)) <= times * len(imported("import click, pluggy"))


# Listing


@pytest.mark.parametrize(
    "command",
    [
        ("list",),
        ("list", "*lstm*", "--json"),
        ("list", "--optimizers"),
        ("plugins",),
        ("show", "lstm"),
        ("show", "sentiment"),
        ("show", "adamw"),
        ("show", "sample-lstm", "--json"),
        ("train", "--help"),
    ],
    ids=" ".join,
)
def test_looking_things_up_imports_no_torch(command: tuple[str, ...], imported: Imported) -> None:
    imported(ZOO, "list")  # What plugins declare is cached by now.
    modules = imported(ZOO, *command)
    assert not top(modules) & HEAVY
    # The options of a run are values of the classes that its plugins declare.
    used = {"zoo_sentiment", "zoo_text", "zoo_recurrent", "zoo_optim"}
    assert top(modules) & PLUGINS == (used if "sample-lstm" in command else set())


def test_the_environment_is_told_without_importing_a_plugin(imported: Imported) -> None:
    imported(ZOO, "list")
    assert not top(imported(ZOO, "env")) & PLUGINS


def test_declaring_imports_no_task_and_no_model(imported: Imported, tmp_path: Path) -> None:
    """Records and their options are in light modules; their targets are not needed."""
    new = {"ZOO_CACHE": str(tmp_path / "cache")}
    modules = {name for name in imported(ZOO, "list", env=new) if top({name}) & OURS}
    assert top(modules) == OURS
    assert {name.rpartition(".")[2] for name in modules - OURS} <= {"options", "environment"}


@pytest.mark.parametrize("source", ["import zoo", "import zoo; zoo.ModelInfo, zoo.ZooError"])
def test_importing_zoo_imports_neither_torch_nor_a_plugin(source: str, imported: Imported) -> None:
    assert not top(imported(source)) & (HEAVY | PLUGINS)


def test_inspecting_weights_imports_no_plugin(sentiment_run: Path, imported: Imported) -> None:
    assert not top(imported(ZOO, "inspect", sentiment_run, "--json")) & PLUGINS


# Plugins that are not wanted


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("list",), 0),
        (("--help",), 0),
        (("plugins",), 0),
        (("lsit",), 2),
        (("diagnose", "gradients", "rnn"), 2),
        (("show", "lstm"), 2),
    ],
)
@pytest.mark.parametrize("how", ["option", "variable"])
def test_without_plugins_none_is_imported(
    how: str, arguments: tuple[str, ...], code: int, imported: Imported
) -> None:
    if how == "option":
        modules = imported(ZOO, "--no-plugins", *arguments, code=code)
    else:
        modules = imported(ZOO, *arguments, code=code, env={"ZOO_PLUGINS": ""})
    assert not top(modules) & PLUGINS


def test_only_the_plugins_that_are_named_are_imported(imported: Imported, tmp_path: Path) -> None:
    named = {"ZOO_PLUGINS": "recurrent, optim"}
    for number, command in enumerate((("list",), ("plugins",), ("show", "lstm"))):
        new = {**named, "ZOO_CACHE": str(tmp_path / str(number))}
        modules = imported(ZOO, *command, env=new)
        assert top(modules) & PLUGINS == {"zoo_recurrent", "zoo_optim"}
    modules = imported(ZOO, "show", "sentiment/lstm", code=2, env=named)
    assert top(modules) & PLUGINS <= {"zoo_recurrent", "zoo_optim"}


def test_the_option_wins_over_the_variable(imported: Imported) -> None:
    modules = imported(ZOO, "--no-plugins", "list", env={"ZOO_PLUGINS": "recurrent"})
    assert not top(modules) & PLUGINS
