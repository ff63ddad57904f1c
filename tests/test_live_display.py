"""What a training shows on a terminal, and the texts that it generates meanwhile."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from safetensors.torch import load_file
from terminal import read_terminal

import zoo
import zoo.api
from zoo.cli.terminal import display_width
from zoo.engine.live import sparkline
from zoo.engine.progress import progress_bar
from zoo.errors import UsageError

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def train_on_terminal(out: Path, columns: int, **environment: str) -> str:
    """Return what a training writes to a terminal."""
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", "train", "sample-lstm", "--out", out, "--steps", "24",
         "--set", "evaluate_every=8", "--set", "log_every=4", "--set", "hidden_size=4"],
        stdin=inner, stdout=inner, stderr=inner,
        env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color", **environment},
    )  # fmt: skip
    os.close(inner)
    found = read_terminal(outer).decode()
    assert process.wait() == 0, found
    os.close(outer)
    return found


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    return train_on_terminal(tmp_path_factory.mktemp("terminal") / "run", 80)


def test_a_terminal_shows_rate_time_left_curves_and_the_best(shown: str) -> None:
    text = ESCAPES.sub("", shown)
    assert re.search(r"━ +step 24/24 .* steps/s +0:00 left", text)
    assert re.search(r"loss +\d\.\d+ +[▁▂▃▄▅▆▇█]+", text)
    assert re.search(r"validation accuracy +\d\.\d+ +[▁▂▃▄▅▆▇█]+ +best \d\.\d+ at step \d+", text)


def test_evaluations_are_rows_of_a_table(shown: str) -> None:
    text = ESCAPES.sub("", shown).replace("\r", "\n")
    rows = [line.split() for line in text.splitlines() if re.match(r" +\d+ +(8|16|24) ", line)]
    assert [row[1] for row in rows] == ["8", "16", "24"]
    assert re.search(r"epoch +step +time +accuracy +95 % +loss", text)


def test_no_line_is_wider_than_the_terminal(shown: str) -> None:
    _, _, display = ESCAPES.sub("", shown).partition("network:")
    lines = display.partition("test accuracy")[0].replace("\r", "\n").splitlines()
    assert max(map(display_width, lines)) <= 80


def test_no_color_is_heeded(shown: str, tmp_path: Path) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9]")
    assert colour.search(shown)
    assert not colour.search(train_on_terminal(tmp_path / "run", 80, NO_COLOR="1"))


@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_a_pass_has_a_bar_with_its_name_once_it_takes_a_second(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", screen)
    batches: Any = list(range(4))
    passed = []
    for batch in progress_bar(batches, "test"):
        passed.append(batch)
        time.sleep(seconds / 3)
    assert passed == batches
    assert ("test: " in screen.getvalue()) == bool(seconds)
    assert bool(screen.getvalue()) == bool(seconds)


@pytest.mark.parametrize("points", [3, 10, 100])
def test_a_curve_is_drawn_in_eight_heights(points: int) -> None:
    values = np.random.default_rng(0).normal(size=40)
    size = int(np.ceil(len(values) / points))
    means = np.array([chunk.mean() for chunk in np.split(values, range(size, 40, size))])
    heights = np.rint(7 * (means - means.min()) / np.ptp(means)).astype(int)
    assert sparkline(list(values), points) == "".join("▁▂▃▄▅▆▇█"[height] for height in heights)
    assert sparkline([1.0, float("nan"), 1.0], points) == "▁▁"


# Options


def test_quiet_shows_results_and_nothing_else(zoo_command: Run, tmp_path: Path) -> None:
    done = zoo_command(
        "train", "sample-lstm", "--out", tmp_path / "run", "--steps", 2, "--quiet", "--threads", 1
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == str(tmp_path / "run")


def test_samples_are_shown_and_change_no_bit(
    train_here: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("steps=6", "hidden_size=4", "embed_size=4", "task.dropout=0.2")
    samples = zoo.api.SampleTexts(3, "the ", 20)
    sampled = train_here("manual-lstm", tmp_path / "a", *settings, callbacks=[samples])
    lines = [line for line in capsys.readouterr().err.splitlines() if "sample at" in line]
    assert [re.match(r"sample at step (\d): the", line)[1] for line in lines] == ["3", "6"]  # type: ignore[index]
    plain = train_here("manual-lstm", tmp_path / "b", *settings)
    weights = [load_file(run.path / "weights.safetensors") for run in (sampled, plain)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


def test_samples_need_a_task_that_generates_text(
    train_here: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="'sentiment' generates no text"):
        train_here("sample-lstm", tmp_path / "run", "steps=2", callbacks=[zoo.api.SampleTexts(1)])
