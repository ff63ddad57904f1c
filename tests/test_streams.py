"""Streams of a command: readers that are gone, slow input, long lines, and what a terminal gets."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run
from plain_sentiment import PLAIN, as_options
from terminal import read_terminal

from zoo.cli import failures
from zoo.cli.lines import LONGEST_LINE
from zoo.errors import DataError, printable

LOST = 141


def zoo(*arguments: object, **streams: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "zoo", *map(str, arguments)], **streams)  # type: ignore[call-overload, no-any-return]


def lost() -> int:
    """Return a pipe to write to whose reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


# Readers that are gone


@pytest.mark.parametrize("command", ["list", "list --json", "--help", "show sample-lstm", "env"])
def test_a_lost_reader_of_stdout_ends_a_command_without_a_word(command: str) -> None:
    process = zoo(*command.split(), stdout=lost(), stderr=subprocess.PIPE)
    assert process.stderr
    assert process.stderr.read() == b""
    assert process.wait() == LOST


def test_many_predictions_end_when_nobody_reads_them(sentiment_run: Path) -> None:
    process = zoo(
        "predict", sentiment_run, "--threads", 2,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin and process.stdout and process.stderr
    with pytest.raises(BrokenPipeError):
        while True:
            process.stdin.write(b"a fine film\n" * 5000)
            process.stdout.close()
    assert process.wait() == LOST
    assert process.stderr.read() == b""


@pytest.mark.parametrize(("stream", "code"), [("stderr", 0), ("stdout", LOST)])
def test_a_training_whose_reader_is_gone_is_completed(
    stream: str, code: int, tmp_path: Path
) -> None:
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: lost()}
    process = zoo(
        "train", "sentiment/rnn", *as_options(*PLAIN), "--steps", 4, "--out", tmp_path / "run",
        "--set", "evaluate_every=2", "--threads", 1, **streams,
    )  # fmt: skip
    assert process.wait() == code
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 4
    assert (tmp_path / "run" / "weights.safetensors").exists()


def test_closed_streams_are_not_taken_for_files(sentiment_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "w.safetensors"
    command = f"{sys.executable} -m zoo export {sentiment_run} -o {out} <&- >&- 2>&-"
    assert subprocess.run(command, shell=True, check=False).returncode == 0
    assert zoo("inspect", out, stdout=subprocess.DEVNULL).wait() == 0


# Lines of stdin


def test_a_line_is_answered_before_the_next_one_comes(sentiment_run: Path) -> None:
    process = zoo("predict", sentiment_run, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout
    for text in (b"fine", b"dull", b"a b"):
        process.stdin.write(text + b"\n")
        process.stdin.flush()
        assert process.stdout.readline().endswith(b"\t" + text + b"\n")
    process.stdin.write(b"no line end")
    process.stdin.close()
    assert process.stdout.read().endswith(b"\tno line end\n")
    assert process.wait() == 0


def test_a_line_that_is_too_long_is_refused_after_those_before_it(sentiment_run: Path) -> None:
    process = zoo(
        "predict", sentiment_run,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = process.communicate(b"fine\n" + b"x" * (LONGEST_LINE + 1) + b"\nafter\n")
    assert out.endswith(b"\tfine\n") and out.count(b"\n") == 1
    assert b"line is too long in stdin, line 2" in err
    assert process.returncode == DataError.exit_code


# Terminals


def on_terminal(*arguments: object) -> str:
    """Return what a command writes to a terminal, on stdout and stderr."""
    outer, inner = pty.openpty()
    process = zoo(*arguments, stdin=subprocess.DEVNULL, stdout=inner, stderr=inner)
    os.close(inner)
    found = read_terminal(outer)
    process.wait()
    os.close(outer)
    return found.decode().replace("\r\n", "\n")


HOSTILE = "a\x1b[2Jb\rc\x07d\x9b31me\u202ef"


def controls(text: str) -> set[str]:
    return {each for each in text if each != "\n" and printable(each) != each}


def test_no_control_character_of_a_text_reaches_a_terminal(sentiment_run: Path) -> None:
    assert controls(HOSTILE) == {"\x1b", "\r", "\x07", "\x9b", "\u202e"}
    shown = on_terminal("predict", sentiment_run, HOSTILE)
    assert "cd31me" in shown
    assert not controls(shown)
    as_json = on_terminal("predict", sentiment_run, "--json", HOSTILE)
    assert not controls(as_json)
    assert json.loads(as_json.splitlines()[0])["text"] == HOSTILE
    assert not controls(on_terminal("show", HOSTILE))


def test_a_pipe_gets_a_text_as_it_is(sentiment_run: Path, zoo_command: Run) -> None:
    assert zoo_command("predict", sentiment_run, "a\x1b[2Jb").stdout.endswith("\ta\x1b[2Jb\n")


def test_an_error_has_no_control_character_anywhere(zoo_here: Run) -> None:
    for arguments in (["show", HOSTILE], ["list", f"--{HOSTILE}"], ["train", "--data", HOSTILE]):
        (line,) = zoo_here(*arguments).stderr.removesuffix("\n").split("\n")
        assert not controls(line)
        assert "\\u001b[2Jb" in line or "\\x1b[2Jb" in line


# Failures


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MemoryError(), 9, "not enough memory; make the network or the batches smaller"),
        (MemoryError("3 GiB are free"), 9, "not enough memory: 3 GiB are free"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 9, "not enough"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device"), 8, "No space left"),
        (RecursionError("maximum depth"), 70, "internal error: RecursionError: maximum depth"),
        (OverflowError("too large"), 70, "internal error: OverflowError: too large"),
        (EOFError("ended early"), 70, "internal error: EOFError: ended early"),
        (UnspeakableError(), 70, "internal error: UnspeakableError; run"),
    ],
)
def test_every_failure_has_a_line_and_an_exit_code(
    error: BaseException, code: int, said: str
) -> None:
    message, found = failures.describe(error)
    assert (said in message, found) == (True, code)


def test_long_values_in_a_message_are_cut() -> None:
    line = failures.one_line(f"no {'x' * 5000!r} and {'y ' * 5000}; fix it")
    assert len(line) <= 2000
    assert line.startswith("no 'xxx") and "… and y y" in line
