"""Messages stay as long as a person reads, whatever the data has."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run
from terminal import read_terminal

from zoo.errors import DataError, UsageError, WeightsError, listed, shortened


@pytest.mark.parametrize("error", [DataError, WeightsError])
def test_messages_about_files_are_cut(error: type[DataError]) -> None:
    names = ", ".join(map(repr, range(100_000)))
    message = str(error(f"unknown {names}", where="file.csv", why=f"known are {names}", fix="try"))
    assert len(message) < 400
    assert message.startswith("unknown '0', '1'") or message.startswith("unknown 0, 1")
    assert " in file.csv: known are 0" in message
    assert message.endswith("…; try")


def test_messages_about_settings_are_whole() -> None:
    assert len(str(UsageError("x" * 1000))) == 1000


def test_names_are_listed_with_a_count_of_those_left_out() -> None:
    assert listed([]) == ""
    assert listed(["a", 2]) == "a, 2"
    assert listed(["abc"] * 5, longest=10) == "abc, abc and 3 more"
    assert listed(["abc", "abc"], longest=8) == "abc, abc"
    assert listed(range(100_000)).endswith(" and 99,967 more")
    assert len(listed(["x" * 1000] * 1000)) < 150


@pytest.mark.parametrize(
    ("text", "longest", "shown"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("abcd", 0, "abcd"), ("", 3, "")],
)
def test_a_text_is_shortened(text: str, longest: int, shown: str) -> None:
    assert shortened(text, longest) == shown


def test_a_vocabulary_that_lacks_everything_makes_a_short_message(
    char_lm_run: Path, zoo_here: Run
) -> None:
    prompt = "".join(chr(0x4E00 + number) for number in range(3000))
    done = zoo_here("generate", char_lm_run, "--prompt", prompt)
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert len(line) < 400
    assert "the vocabulary lacks '一'" in line


# On a terminal


def on_terminal(command: list[object], typed: bytes = b"") -> bytes:
    """Return what a command writes to a terminal of 40 columns."""
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", *map(str, command)],
        stdin=inner, stdout=inner, stderr=inner,
        env={**os.environ, "COLUMNS": "40", "PYTHONUTF8": "1"},
    )  # fmt: skip
    os.close(inner)
    os.write(outer, typed)
    found = read_terminal(outer)
    assert process.wait() == 0, found
    os.close(outer)
    return found


def test_predict_on_a_terminal_waits_for_lines_and_answers_each(sentiment_run: Path) -> None:
    found = on_terminal(["predict", sentiment_run, "--threads", 1], b"dull\nfine\n\x04")
    lines = found.decode().replace("\r", "").split("\n")
    assert "waiting for texts, one a line; Ctrl-D ends" in lines
    answers = [line for line in lines if "0." in line]
    assert [line.split()[-1] for line in answers] == ["dull", "fine"]


def test_what_predict_shows_is_cut_to_the_terminal(sentiment_run: Path, zoo_here: Run) -> None:
    text = "很长的评论 and so on " * 50
    found = on_terminal(["predict", sentiment_run, text, "--threads", 1]).decode()
    assert found.rstrip().endswith("…")
    assert len(found.rstrip()) < 40
    whole = zoo_here("predict", sentiment_run, text, "--threads", 1).stdout
    assert whole.rstrip("\n").endswith(text)
    as_json = on_terminal(["predict", sentiment_run, text, "--json", "--threads", 1]).decode()
    assert text in as_json.replace("\r\n", "")
