"""Command lines of every kind end in a result or in one line, whatever options and files say."""

from __future__ import annotations

import gc
import io
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from plain_sentiment import PLAIN
from promises import Promise

from zoo import installed
from zoo.cli.main import COMMANDS, cli, main

ENDS = Promise("No command line ends in a traceback or an internal error", quick=300, full=20_000)

EXIT_CODES = {0, 2, 3, 4, 5, 6, 7, 8, 9}
TABLE = b"text,label\n" + b"".join(
    b"a fine plot %d,pos\na dull plot %d,neg\n" % (n, n) for n in range(12)
)
REGISTRY = b"""[recipes.small]
summary = "Small"
task = "sentiment"
model = "rnn"
settings.model = { hidden_size = 2 }
metrics = { accuracy = 0.5 }
[data.some]
summary = "Some"
url = "http://127.0.0.1:9/x"
sha256 = "00"
bytes = 5
"""
# Numbers are so small, or so large, that no command takes long to do as it is told.
HOSTILE = (
    "", " ", "0", "1", "2", "-1", "0.5", str(2**31), str(2**63), str(2**64), str(10**30),
    "9" * 5000,
    "1e30", "1e-320", "1e400", "nan", "inf", "-inf", "0x10", "1_0", "\u0661", "none", "true",
    "auto",
    "cuda", "cuda:99", "cpu:0", "cpu:-1", "meta", "mps", "xla", "\x1b[2J", "a\rb", "\u202eabc",
    "\x07", "\x9b31m", "\U0001f986", "\u6d77" * 400, "a" * 5000, "a b", "a/b", "sentiment/rnn",
    "../../x", "/", ".", "..", "/dev/null", "--", "-", "=", "x=", "=x", "a=b", "hidden_size=x",
    "[]", "{}", "*", "[", "%s%n", "lstm", "sample", "sample-lstm", "imdb", "small", "text",
    "no-such", "text-classification/lstm", "char-lm/gru",
)  # fmt: skip
HOSTILE_BYTES = (
    b"", b"\n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"text,label\n", b"text,label\na,b\n",
    b"a\rb\rc", b'"' * 99, b"{" * 5000, b"[" * 200_000, b"a,b,c\n" * 30, b"\x1b[2J\n" * 20,
    b'{"text": "\\ud800", "label": 1}\n' * 20, b'{"text": 1, "label": [[]]}\n' * 20,
    b"text,label\n" + b"same,pos\n" * 30, b"text,label\n" + b"x,\x1b]0;y\x07\nz,b\n" * 20,
    b"label\ttext\n1e400\tx\nnan\ty\n" * 12, b"x = " + b"[" * 20_000, b"a.b = 1\n" * 3,
    b"[recipes.x]\ntask = 3\n", b'[recipes."\\u001b"]\nsummary = ""\n', b"PK\x03\x04" * 9,
    b"recipes = 5", b"[recipes.x]\nsummary=''\ntask='sentiment'\nmodel='rnn'\ndata='\\u0000'\n",
    b"\x80\x04\x95.", b"null", b"[]", b'"x"', b"1" * 5000, b'{"format": 1e999}', b"NaN",
)  # fmt: skip


class World:
    """A folder with what commands can be given, good and damaged, and a way to run them in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.here = folder / "a" / "b" / "c"
        self.files: dict[str, bytes] = {}

    def keep(self) -> None:
        """Keep what is there; :meth:`restore` brings it back."""
        paths = [path for path in self.here.rglob("*") if path.is_file()]
        self.files = {str(path.relative_to(self.here)): path.read_bytes() for path in paths}

    def restore(self) -> None:
        """Undo what a command did: what is drawn depends on nothing that was drawn before."""
        shutil.rmtree(self.here)
        for name, content in self.files.items():
            self.write(name, content)

    def write(self, name: str, content: bytes) -> str:
        path = self.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return name

    def run(self, arguments: list[str], stdin: bytes) -> tuple[int, str, str]:
        """Run a command in this process; return its exit code and what it printed."""
        out, err = io.StringIO(), io.StringIO()
        before = dict(os.environ)
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["zoo", *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            patch.chdir(self.here)
            with pytest.raises(SystemExit) as ended:
                main()
        os.environ.clear()  # --registry and --no-plugins set variables.
        os.environ.update(before)
        gc.unfreeze()  # A command has a process of its own, and leaves garbage to its end.
        code = ended.value.code
        assert isinstance(code, int)
        return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, train_here: Callable[..., Any]
) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world"))
    world.here.mkdir(parents=True)
    (world.here / "table.csv").write_bytes(TABLE)
    (world.here / "book.txt").write_bytes(b"The sea was calm, and the ship lay still.\n" * 60)
    (world.here / "registry.toml").write_bytes(REGISTRY)
    small = [*PLAIN, "hidden_size=2", "embed_size=2", "fc_size=2", "steps=2"]
    train_here("sentiment/rnn", world.here / "texts", *small, data=world.here / "table.csv")
    train_here(
        "char-lm/gru", world.here / "book", "hidden_size=3", "embed_size=2", "steps=2",
        data=world.here / "book.txt",
    )  # fmt: skip
    world.keep()
    yield world
    installed.forget()


def words() -> SearchStrategy[str]:
    """Return values of options: hostile ones, and any text that an argument can be."""
    anything = st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9
    )
    return st.sampled_from(HOSTILE) | anything


def contents(good: bytes) -> SearchStrategy[bytes]:
    """Return contents of files: a good one, hostile ones, and the good one with some changes."""

    def changed(edits: list[tuple[int, int, bytes]]) -> bytes:
        content = good
        for start, length, new in edits:
            at = start % (len(content) + 1)
            content = content[:at] + new + content[at + length :]
        return content

    edit = st.tuples(
        st.integers(0, 1 << 20), st.sampled_from([0, 1, 1, 5, 1 << 20]),
        st.binary(max_size=3) | st.sampled_from([b"", b"-", b"1e999", b"null", b"[]", b'""']),
    )  # fmt: skip
    edits = st.lists(edit, min_size=1, max_size=3)
    return st.just(good) | st.sampled_from(HOSTILE_BYTES) | edits.map(changed)


@st.composite
def file(draw: DrawFn, world: World, name: str) -> str:
    """Return an argument for a file: a good one's copy with other contents, or a word."""
    if draw(st.integers(0, 5)) == 5:
        return draw(words())
    return world.write(f"changed{Path(name).suffix}", draw(contents(world.files[name])))


@st.composite
def run_directory(draw: DrawFn, world: World) -> str:
    """Return an argument for trained weights: a run, a file, a run with a damaged file, a word."""
    run = draw(st.sampled_from(["texts", "book"]))
    kind = draw(st.sampled_from(["run", "file", "damaged", "damaged", "word"]))
    if kind == "file":
        return draw(file(world, f"{run}/weights.safetensors"))
    if kind == "word":
        return draw(words())
    if kind == "damaged":
        names = sorted(name for name in world.files if name.startswith(f"{run}/"))
        damaged = draw(st.sampled_from(names))
        if draw(st.integers(0, 4)) == 0:
            (world.here / damaged).unlink()
        else:
            world.write(damaged, draw(contents(world.files[damaged])))
    return run


def command_of(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


@st.composite
def options_of(draw: DrawFn, command: click.Command, world: World, left_out: set[str]) -> list[str]:
    """Return some options of a command with any values."""
    options = [
        parameter for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name not in left_out
    ]  # fmt: skip
    chosen: list[str] = []
    for option in draw(st.lists(st.sampled_from(options), max_size=3)) if options else []:
        flag = draw(st.sampled_from([*option.opts, *option.secondary_opts]))
        chosen.append(flag)
        if option.name in ("data", "validation", "test"):
            chosen.append(draw(file(world, "table.csv")))
        elif option.name == "settings":
            keys = st.sampled_from(SETTINGS) | words()
            chosen.append(f"{draw(keys)}={draw(PLAUSIBLE | words())}")
        elif not option.is_flag:
            chosen.append(draw(PLAUSIBLE | words()))
    return chosen


# Of the tasks, models, optimizers and trainings; `epochs` and `steps` decide how long one takes.
SETTINGS = (
    "hidden_size", "num_layers", "model.dropout", "task.dropout", "embed_size", "fc_size",
    "pooling",
    "max_tokens", "truncation", "min_count", "max_vocab", "vectors", "text_column", "label_column",
    "encoding", "delimiter", "quote", "header", "validation_data", "test_data", "validation_size",
    "test_size", "labels", "tokens", "ngram_weight", "ngram_bits", "class_weight",
    "label_smoothing",
    "calibration", "threshold", "batch_size", "learning_rate", "optimizer", "schedule", "warmup",
    "clip_norm", "monitor", "patience", "ema_decay", "beta1", "beta2", "weight_decay", "eps",
    "initial_state", "merge", "input", "word_dropout", "embed_dropout", "embed_std", "max_units",
)  # fmt: skip

PLAUSIBLE = st.sampled_from(
    ["0", "1", "2", "3", "0.5", "0.1", "none", "true", "cpu", "test", "sgd"]
)

WEIGHTED = (
    "list",
    "show",
    "show",
    "inspect",
    "inspect",
    "predict",
    "predict",
    "predict",
    "evaluate",
    "generate",
    "generate",
    "embed",
    "verify",
    "export",
    "plugins",
    "new",
    "train",
)


@st.composite
def command_lines(draw: DrawFn, world: World) -> tuple[list[str], bytes]:
    """Return the arguments of zoo, and what is on stdin; files that they name are written."""
    before: list[str] = []
    if draw(st.integers(0, 9)) == 9:
        before = ["--registry", draw(file(world, "registry.toml"))]
    if draw(st.integers(0, 19)) == 19:
        before.append("--no-plugins")
    if draw(st.integers(0, 19)) == 19:
        return [*before, *draw(st.lists(words(), max_size=3))], b""
    name = draw(st.sampled_from(WEIGHTED))
    command = command_of(name)
    arguments = [*before, name]
    after: list[str] = []
    left_out: set[str] = set()
    if name in ("list", "show"):
        arguments += draw(st.lists(words(), max_size=1))
    elif name == "train":
        if draw(st.booleans()):
            arguments += ["--out", draw(run_directory(world)), "--resume"]
        else:
            arguments += draw(
                st.lists(st.sampled_from(["sentiment/rnn", "char-lm/gru"]), max_size=1)
            )
            arguments += [
                "--data",
                draw(file(world, draw(st.sampled_from(["table.csv", "book.txt"])))),
            ]
            arguments += ["--set", "hidden_size=2", "--out", "new"]
        # The last one of an option counts.
        after, left_out = ["--steps", "3", "--threads", "1"], {"steps", "epochs"}
    elif name == "new":
        arguments += [draw(st.sampled_from(["model", "task", "plugin"]) | words()), draw(words())]
    elif name != "plugins":
        arguments.append(draw(run_directory(world)))
    if name in ("predict", "embed"):
        arguments += draw(st.lists(words(), max_size=2))
    if name in ("embed", "export"):
        arguments += ["-o", draw(words() | st.just("written"))]
    if name in ("evaluate", "verify") and draw(st.booleans()):
        arguments += ["--data", draw(file(world, "table.csv"))]
    if name == "generate":
        after = draw(st.sampled_from([["--length", "3"], ["--length", str(10**18)]]))
    arguments += draw(options_of(command, world, left_out))
    return [*arguments, *after], draw(contents(b"a fine plot\na dull plot\n"))


@settings(
    max_examples=ENDS.cases,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(data=st.data())
def test_a_command_line_ends_in_a_result_or_in_one_line(world: World, data: st.DataObject) -> None:
    world.restore()
    arguments, stdin = data.draw(command_lines(world))
    if "--registry" in arguments:
        installed.forget()  # It is read once per process, and has changed.
    code, _, err = world.run(arguments, stdin)
    assert code in EXIT_CODES, err
    assert "Traceback" not in err
    assert not re.search("internal error|plugin '[^']*' failed", err), err
    assert code == 0 or "error: " in err or err.startswith("Usage: "), err
    assert all(len(line) < 2500 for line in err.splitlines())


def test_every_command_is_tried() -> None:
    # `check` runs for seconds, in a process of its own.
    assert {*COMMANDS} - {*WEIGHTED} == {"env", "check"}
