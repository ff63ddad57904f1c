"""Weights files that ask for more than they are worth: refused in one line, in little memory."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from promises import Promise
from weights_reader import Tensors, canonical, forge, parse, unparse

from zoo.weights.comparison import settings_digest

HOSTILE = Promise(
    "A weights file that asks for much time or memory is refused in one line, in seconds and "
    "in less than 512 MiB",
    quick=24, full=24,
)  # fmt: skip

# Loads files one after the other, and says what each came to and took.
LOAD = """
import json, sys
import zoo

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

zoo.load(sys.argv[1])
before = peak()
for path in sys.argv[2:]:
    try:
        model = zoo.load(path)
        text = "loaded"
    except zoo.ZooError as error:
        text = f"{type(error).__name__}: {error}"
    print(json.dumps([path, text, peak() - before]), flush=True)
"""


def with_option(header: dict[str, Any], part: str, **changes: Any) -> dict[str, Any]:
    made = header["run"][part]
    changed = {**made, "options": {**made["options"], **changes}}
    return {**header, "run": {**header["run"], part: changed}}


def with_metadata(path: Path, text: bytes) -> Path:
    """Write a file without tensors, whose header is a text without quotation marks."""
    start = b'{"__metadata__":{"zoo":"' + text + b'"}}'
    path.write_bytes(struct.pack("<Q", len(start)) + start)
    return path


def hostile(original: Path, words: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Make the files; each would pass every digest."""
    header, tensors = parse(original)

    def forged(name: str, changed: dict[str, Any], others: Tensors = tensors) -> tuple[str, Path]:
        probe = {**changed["probe"], "sha256": settings_digest(changed)}
        return name, forge(folder / name, {**changed, "probe": probe}, others)

    def probed(name: str, **batch: Any) -> tuple[str, Path]:
        full = {**header["probe"]["batch"], **batch}
        return forged(name, {**header, "probe": {**header["probe"], "batch": full}})

    many = {f"x{n}": ("F32", [0], b"") for n in range(100_000)}
    task_state = header["task_state"]
    yield forged("layers", with_option(header, "model", num_layers=200_000))
    yield forged("more-layers", with_option(header, "model", num_layers=2**40))
    yield forged("units", with_option(header, "model", hidden_size=10**6))
    yield forged("more-units", with_option(header, "model", hidden_size=2**62))
    yield forged("negative-units", with_option(header, "model", hidden_size=-1))
    yield forged("units-true", with_option(header, "model", hidden_size=True))
    yield forged("embedding", with_option(header, "task", embed_size=10**9))
    yield forged("repeated", {**header, "task_state": {"vocabulary": ["a"] * 200_000}})
    yield forged("state", {**header, "task_state": {**task_state, "more": [[]] * 300_000}})
    yield probed("steps", lengths=[10**9, 10**9])
    yield probed("padded", inputs=[[0] * 500_000] * 2, lengths=[500_000, 500_000])
    yield probed("rows", inputs=[[0]] * 150_000, lengths=[1] * 150_000)
    yield probed("negative", lengths=[-1, -1])
    yield forged("texts", {**header, "probe": {**header["probe"], "texts": ["a" * 10**7],
                 "answers": [{"token_ids": [], "answer": "", "outputs": []}]}})  # fmt: skip
    yield forged(
        "deep", {**header, "task_state": {**task_state, "x": json.loads("[" * 500 + "]" * 500)}}
    )
    yield forged("huge", {**header, "run": {**header["run"], "seed": 10**4000}})
    yield forged("tensors", header, {**tensors, **many})
    yield "lists", with_metadata(folder / "lists", b"[" + b"[]," * 30_000_000 + b"[]]")
    yield "numbers", with_metadata(folder / "numbers", b"[" + b"1," * 10_000_000 + b"1]")
    yield "nested", with_metadata(folder / "nested", b"[" * 10_000_000)
    nan = canonical(header).replace('"seed":1', '"seed":NaN')
    yield "nan", unparse(folder / "nan", nan, tensors)
    # The table of safetensors itself: as long as the file, and longer.
    for name, length in (("table", 90_000_000), ("longer", 2**62)):
        (folder / name).write_bytes(struct.pack("<Q", length) + b"[" * 90_000_000)
        yield name, folder / name
    # The same word many times, for a task with words.
    header, tensors = parse(words)
    state = {**header["task_state"], "vocabulary": ["<pad>", "<unk>", *["the"] * 200_000]}
    yield forged("words", {**header, "task_state": state})


@pytest.fixture
def files(
    char_lm_run: Path, sentiment_run: Path, tmp_path: Path
) -> Iterator[tuple[Path, dict[str, Path]]]:
    original, words = (run / "weights.safetensors" for run in (char_lm_run, sentiment_run))
    yield original, dict(hostile(original, words, tmp_path))
    for path in tmp_path.iterdir():  # Some are large.
        path.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_hostile_files(files: tuple[Path, dict[str, Path]]) -> None:
    original, hostile_files = files
    assert len(hostile_files) == HOSTILE.cases
    paths = [original, original, *hostile_files.values()]
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *map(str, paths)],
        capture_output=True, text=True, timeout=150, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (_, text, _), *lines = map(json.loads, done.stdout.splitlines())
    assert text == "loaded"
    for path, text, kibibytes in lines:
        assert text.startswith(("WeightsError: ", "PluginError: ")), (path, text)
        assert "\n" not in text
        assert kibibytes < 512 * 1024, (path, text)
