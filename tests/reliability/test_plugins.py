"""A plugin that is broken is named, and takes no work of other plugins down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from broken_plugins import FAILING, GOOD, KINDS, SLOW, VALUES
from conftest import Run
from promises import FULL, Promise

from zoo import installed

COMMANDS = (
    "list", "list --json", "--help", "plugins", "plugins --json", "show birnn-of-good",
    "env --json", "predict FILE text", "verify FILE", "train sample-lstm --steps 1 --out OUT",
)  # fmt: skip
# Kinds that are installed at once, and the commands that are tried with them.
ALL = [*KINDS]
GROUPS = [ALL[start : start + 5] for start in range(0, len(ALL), 5)] if FULL else [ALL[::6]]
TRIED = COMMANDS if FULL else ("list --json", "plugins --json", *COMMANDS[7:])
PLUGINS = Promise(
    "Whatever is wrong with a plugin, it is named, and commands work with the others",
    quick=len(ALL[::6]) * 5,
    full=len(ALL) * len(COMMANDS),
)
# Started in a process of their own; the others, which import torch, run in that of the tests.
LIGHT = COMMANDS[:6]


def install(site: Path, name: str, value: str) -> None:
    """Lay out the metadata of a package with a plugin, as pip would."""
    metadata = site / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[zoo]\n{name} = {value}\n")


@pytest.fixture(params=GROUPS, ids=lambda kinds: kinds[0])
def kinds(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """Install plugins, and one that is not broken."""
    chosen: list[str] = request.param
    site = tmp_path / "site"
    good = GOOD.replace("model-{n}", "birnn-of-good").replace("{n}", "good")
    install(site, "zoo-good", "zoo_good")
    (site / "zoo_good.py").write_text(good)
    for kind in chosen:
        number = str(ALL.index(kind))
        install(site, f"zoo-b{number}", VALUES.get(kind, "zoo_b{n}").replace("{n}", number))
        (site / f"zoo_b{number}.py").write_text(KINDS[kind].replace("{n}", number))
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    monkeypatch.delenv("ZOO_PLUGINS", raising=False)
    if SLOW & {*chosen}:
        monkeypatch.setenv("ZOO_PLUGIN_TIMEOUT", "3")
    installed.forget()
    yield chosen
    installed.forget()


def test_commands_work_beside_broken_plugins(
    kinds: list[str], zoo_here: Run, sentiment_run: Path, tmp_path: Path
) -> None:
    weights, failed = sentiment_run / "weights.safetensors", []
    first = GROUPS.index(kinds)
    for number in range(len(TRIED)):  # Each command comes first for some kinds.
        command = TRIED[(first + number) % len(TRIED)]
        words = [
            {"FILE": str(weights), "OUT": str(tmp_path / "run")}.get(word, word)
            for word in command.split()
        ]
        installed.forget()
        if command in LIGHT:
            done = subprocess.run(
                [sys.executable, "-m", "zoo", *words], cwd=tmp_path, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=200, check=False,
            )  # fmt: skip
        else:
            done = zoo_here(*words, cwd=tmp_path)
        problem = wrong(command, kinds, done)
        if problem:
            failed.append(f"{command}: {problem}\n{done.stdout[-500:]}\n{done.stderr[-500:]}")
    assert failed == []


def wrong(command: str, kinds: list[str], done: subprocess.CompletedProcess[str]) -> str:
    """Return what is wrong with the outcome of a command, or nothing."""
    if done.returncode:
        return f"exit code {done.returncode}"
    if "Traceback" in done.stderr:
        return "a traceback"
    if "hello" in done.stdout:
        return "a plugin printed"
    if command.startswith("list") and not {"birnn-of-good", "lstm"} <= {*done.stdout.split()} | {
        word.strip('",') for word in done.stdout.split()
    }:
        return "models are missing"
    if command.endswith("--json"):
        document = json.loads(done.stdout)
        if command.startswith("plugins"):
            errors = {record["name"]: record["error"] for record in document}
            for number, kind in enumerate(KINDS):
                if kind in kinds and bool(errors[f"zoo-b{number}"]) != (kind in FAILING):
                    return f"{kind}: {errors[f'zoo-b{number}']!r}"
            if errors["zoo-good"] or errors["text"]:
                return "a plugin that is not broken failed"
    return ""
