"""``zoo explain`` as its users see it."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
import pytest
from terminal import read_terminal

from zoo.cli.plugin_commands import load
from zoo.interfaces import Explanation, Piece
from zoo_explain.terminal import show

TEXT = "Not bad at all, though the ending drags."


def on_a_terminal(*arguments: object, **env: str) -> str:
    """Run ``zoo ARGUMENTS`` on a terminal of 80 columns; return what it shows."""
    outer, inner = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", "zoo", *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=inner, stderr=subprocess.PIPE, timeout=300, check=True,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **env},
        )  # fmt: skip
    finally:
        os.close(inner)
    shown = read_terminal(outer).decode()
    os.close(outer)
    return shown


def test_the_strongest_words_have_their_value_beside_them(
    sentiment_run: Path, zoo_here: Callable[..., Any]
) -> None:
    done = zoo_here("explain", sentiment_run, TEXT, "Dull.")
    assert done.returncode == 0, done.stderr
    first, words, second, _ = done.stdout.splitlines()
    assert re.fullmatch(r"(pos|neg): logit [+-]\d.* = base [+-]\d.* \+ words [+-]\d.*", first)
    assert re.sub(r"\[[^]]*\]", "", words).strip() == TEXT
    assert re.search(r"\w\[[+-]\d\.\d+\]", words)
    assert second.startswith(("pos", "neg"))


def test_json_adds_up_and_says_where_the_words_are(
    sentiment_run: Path, zoo_here: Callable[..., Any]
) -> None:
    done = zoo_here("explain", sentiment_run, "--json", "--target", "neg", stdin=f"{TEXT}\nDull.\n")
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert [document["text"] for document in documents] == [TEXT, "Dull."]
    for document in documents:
        assert document["target"] == "neg"
        assert document["unit"] == "logit"
        total = document["base"] + sum(piece["value"] for piece in document["pieces"])
        assert total == pytest.approx(document["score"], rel=0.01, abs=0.01)
    words = [TEXT[piece["start"] : piece["end"]] for piece in documents[0]["pieces"]]
    assert [word for word in words if word.isalpha()] == re.findall(r"\w+", TEXT)


def test_of_a_language_model_it_is_the_surprise_of_every_character(
    char_lm_run: Path, zoo_here: Callable[..., Any]
) -> None:
    done = zoo_here("explain", char_lm_run, "The 3th sailor")
    assert re.match(r"\d+\.\d\d nats in 14 characters, \d\.\d\d bits a character\n", done.stdout)
    assert zoo_here("explain", char_lm_run, "--target", "pos", "The").returncode == 2
    assert zoo_here("explain", char_lm_run, "\u00e4").returncode == 4


def test_colours_are_for_terminals_that_have_them(sentiment_run: Path) -> None:
    shown = on_a_terminal("explain", sentiment_run, TEXT + "\u202e\x1b]0;title\x07")
    assert re.search(r"\x1b\[[0-9;]*48;", shown)
    assert "adds to" in shown
    assert "\u202e" not in shown
    assert "\x1b]" not in shown
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown = on_a_terminal("explain", sentiment_run, TEXT, **env)
        assert "\x1b" not in shown
        assert "[+" in shown


def test_colours_need_no_file_under_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may have replaced stdout by a terminal of its own, which has no bytes under it."""

    class Window(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    window = Window()
    monkeypatch.setattr(sys, "stdout", window)
    pieces = (Piece(0, 4, 0.5), Piece(5, 9, -0.25))
    show(Explanation("good film \x1b]0;title\x07", "pos", 1.25, 1.0, "logit", pieces, "a"))
    shown = window.getvalue()
    assert re.search(r"\x1b\[[0-9;]*48;", shown)
    assert "\x1b]" not in shown, "control characters of the text are not obeyed"


class Page(HTMLParser):
    """Collects the text of a page, and whatever it would load."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.text, self.loads = "", list[str]()
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe"):
            self.loads.append(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_needs_nothing_else(
    sentiment_run: Path, zoo_here: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    text = "<img src=x onerror=alert(1)> a fine film"
    done = zoo_here("explain", sentiment_run, text, TEXT, "-o", path)
    assert (done.returncode, done.stdout) == (0, f"{path}\n")
    document = path.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in document
    page = Page(document)
    assert page.loads == []
    assert text in page.text
    assert TEXT in page.text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--target", "great", TEXT], 2, "no label 'great'; labels are neg, pos"),
        (["--json", "-o", "page.html", TEXT], 2, "leave one of them out"),
        (["-o", "/nowhere/page.html", TEXT], 8, "cannot write in /nowhere/page.html"),
    ],
)
def test_failures_are_one_line(
    arguments: list[str], code: int, message: str, sentiment_run: Path,
    zoo_here: Callable[..., Any],
) -> None:  # fmt: skip
    done = zoo_here("explain", sentiment_run, *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_text_of_which_nothing_is_known_is_told(
    sentiment_run: Path, zoo_here: Callable[..., Any]
) -> None:
    done = zoo_here("explain", sentiment_run, "")
    assert done.returncode == 0
    assert "warning: 1 text has nothing that adds to the answer" in done.stderr


def test_every_option_has_a_help_text() -> None:
    command = load("explain")
    assert isinstance(command, click.Command)
    assert "Examples:" in (command.epilog or "")
    assert all(each.help for each in command.params if isinstance(each, click.Option))
