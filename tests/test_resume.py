"""A run that was stopped and resumed is, to the bit, a run that never stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

from zoo.engine.rundir import RunDirectory
from zoo.errors import DataError, UsageError, WeightsError

Train = Callable[..., Any]
SMALL = ("hidden_size=4", "embed_size=4")
RUNS = {
    # Eight steps an epoch.
    "sentiment": (
        "sentiment/lstm", "epochs=2", "batch_size=512", "task.dropout=0.3", "word_dropout=0.1",
        "embed_dropout=0.2", "average=0.9", "schedule=one-cycle", "learning_rate=0.02",
    ),
    # Eleven steps an epoch, evaluated in between, with a state that is carried.
    "streams": (
        "char-lm/lstm", "steps=16", "reading=streams", "window=100", "batch_size=16",
        "task.dropout=0.2", "evaluate_every=4", "optimizer=adamw", "weight_decay=0.1",
        "learning_rate=0.02", "num_layers=2", "model.dropout=0.1",
    ),
    "windows": (
        "char-lm/gru", "steps=16", "reading=windows", "window=30", "evaluate_every=2",
        "optimizer=sgd", "momentum=0.9", "learning_rate=30.0", "schedule=plateau",
        "initial_state=random",
    ),
}  # fmt: skip
STOPS = [(1,), (8,), (11,), (3, 2, 6)]


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def start(train_here: Train, text_file: Path) -> Callable[..., Any]:
    def run(kind: str, out: Path, **how: Any) -> Any:
        name, *settings = RUNS[kind]
        data = text_file if name.startswith("char-lm") else ""
        return train_here(name, out, *settings, *SMALL, data=data, **how)

    return run


@pytest.fixture(scope="module")
def whole(
    start: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return the directory of a run that never stopped."""
    done: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in done:
            done[kind] = tmp_path_factory.mktemp("whole") / kind
            assert not start(kind, done[kind]).interrupted
        return done[kind]

    return get


def checkpoint(run: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    with safetensors.safe_open(run / "checkpoint.safetensors", "pt") as file:
        header = json.loads(file.metadata()["zoo-checkpoint"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del header["position"]["seconds"], header["digest"]  # The digest covers the seconds.
    return header, tensors


def evaluations(run: Path) -> list[dict[str, Any]]:
    found = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [
        {key: value for key, value in line.items() if key != "seconds"}
        for line in found
        if line["kind"] == "evaluation"
    ]


def assert_same(resumed: Path, never_stopped: Path) -> None:
    for file in ("weights.safetensors", "config.json"):
        assert (resumed / file).read_bytes() == (never_stopped / file).read_bytes(), file
    (header, tensors), (expected_header, expected) = map(checkpoint, (resumed, never_stopped))
    assert header == expected_header
    assert tensors.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(tensors[name], expected[name])] == []
    assert evaluations(resumed) == evaluations(never_stopped)


@pytest.mark.parametrize("stops", STOPS, ids=str)
@pytest.mark.parametrize("kind", RUNS)
def test_interrupted_and_resumed(
    kind: str, stops: tuple[int, ...], start: Any, whole: Any, tmp_path: Path
) -> None:
    steps = 0
    for number, stop in enumerate(stops):
        torch.manual_seed(number + 50)  # Another process has other random states.
        outcome = start(kind, tmp_path / "run", resume=number > 0, stop_after=stop)
        steps += stop
        assert outcome.interrupted
        assert outcome.position.step == steps
    torch.manual_seed(99)
    assert not start(kind, tmp_path / "run", resume=True).interrupted
    assert_same(tmp_path / "run", whole(kind))


@pytest.mark.parametrize("killed", [2, 10, 15])
@pytest.mark.parametrize("kind", RUNS)
def test_killed_and_resumed_from_the_last_checkpoint(
    kind: str, killed: int, start: Any, whole: Any, tmp_path: Path
) -> None:
    def kill(position: Any) -> None:
        if position.step == killed:
            raise KilledError

    with pytest.raises(KilledError):
        start(kind, tmp_path / "run", on_step=kill)
    start(kind, tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", whole(kind))


@pytest.mark.parametrize("kind", RUNS)
def test_resuming_a_finished_run_changes_nothing(kind: str, start: Any, whole: Any) -> None:
    before = {path.name: path.read_bytes() for path in whole(kind).iterdir()}
    assert not start(kind, whole(kind), resume=True).interrupted
    assert {path.name: path.read_bytes() for path in whole(kind).iterdir()} == before


def test_other_data_is_not_gone_on_with(train_here: Train, text_file: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "book.txt", tmp_path / "run"
    text = text_file.read_text(encoding="utf-8")
    data.write_text(text, encoding="utf-8")
    settings = ("steps=6", *SMALL)
    train_here("char-lm/lstm", out, *settings, data=data, stop_after=3)
    before = (out / "checkpoint.safetensors").read_bytes()
    data.write_text(text.swapcase(), encoding="utf-8")
    with pytest.raises(DataError, match="data has changed since the run was started"):
        train_here("char-lm/lstm", out, *settings, data=data, resume=True)
    assert (out / "checkpoint.safetensors").read_bytes() == before
    data.write_text(text, encoding="utf-8")
    train_here("char-lm/lstm", out, *settings, data=data, resume=True)


def test_one_process_trains_in_a_directory_at_a_time(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    start("windows", tmp_path / "run", stop_after=3)
    with (
        RunDirectory(tmp_path / "run").lock(),
        pytest.raises(UsageError, match="another process trains here"),
    ):
        start("windows", tmp_path / "run", resume=True)
    start("windows", tmp_path / "run", resume=True)


def test_a_log_line_that_a_crash_cut_short_is_dropped(
    start: Any, whole: Any, tmp_path: Path
) -> None:
    start("streams", tmp_path / "run", stop_after=9)
    with (tmp_path / "run" / "metrics.jsonl").open("a") as log:
        log.write('{"kind": "evaluation", "step": 9, "lo')
    start("streams", tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", whole("streams"))


def test_a_checkpoint_is_one_file_with_everything_in_it_by_name(whole: Any) -> None:
    names = {path.name for path in whole("streams").iterdir()}
    assert names == {
        "config.json", "metrics.jsonl", "checkpoint.safetensors", "weights.safetensors", ".lock",
    }  # fmt: skip
    header, tensors = checkpoint(whole("streams"))
    assert header["position"]["step"] == 16
    assert header["position"]["epoch"] == 1
    weights = safetensors.torch.load_file(whole("streams") / "weights.safetensors")
    for name in weights:
        assert tensors[f"network.{name}"].shape == weights[name].shape
        assert tensors[f"optimiser.{name}.exp_avg"].shape == weights[name].shape
        assert tensors[f"optimiser.{name}.step"].item() == 16
    assert tensors["state.0"].shape == tensors["state.1"].shape == (2, 16, 4)
    assert "random.cpu" in tensors
    # What the other tests rest on: the plateau was reached before the training was stopped.
    assert checkpoint(whole("windows"))[0]["plateau"]["factor"] < 0.5
    _, averaging = checkpoint(whole("sentiment"))
    assert "average.module.fc1.weight" in averaging


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(content: bytes) -> bytes:
    return b""


def overwritten(content: bytes) -> bytes:
    return b"\x00" * len(content)


def foreign(content: bytes) -> bytes:
    return safetensors.torch.save({"a": torch.zeros(3)})


def changed(content: bytes, tensors: dict[str, torch.Tensor], **header: Any) -> bytes:
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size])["__metadata__"]
    known = json.loads(metadata["zoo-checkpoint"])
    return safetensors.torch.save(tensors, {"zoo-checkpoint": json.dumps({**known, **header})})


def of_another_format(content: bytes) -> bytes:
    return changed(content, safetensors.torch.load(content), format=99)


def of_another_network(content: bytes) -> bytes:
    tensors = safetensors.torch.load(content)
    tensors["network.fc.weight"] = torch.zeros(3, 3)
    return changed(content, tensors)


def without_a_moment(content: bytes) -> bytes:
    tensors = safetensors.torch.load(content)
    del tensors["optimiser.fc.weight.exp_avg"]
    return changed(content, tensors)


def without_a_state(content: bytes) -> bytes:
    tensors = safetensors.torch.load(content)
    del tensors["state.1"]
    return changed(content, tensors)


def bit_flipped(content: bytes) -> bytes:
    flipped = bytearray(content)
    flipped[-1000] ^= 4
    return bytes(flipped)


@pytest.mark.parametrize(
    "damage",
    [truncated, emptied, overwritten, foreign, of_another_format, of_another_network,
     without_a_moment, without_a_state, bit_flipped],
)  # fmt: skip
def test_a_damaged_checkpoint_is_refused_and_left_alone(
    damage: Callable[[bytes], bytes], start: Any, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    start("streams", run, stop_after=2)
    file = run / "checkpoint.safetensors"
    bad = damage(file.read_bytes())
    file.write_bytes(bad)
    with pytest.raises(WeightsError, match="cannot go on from the checkpoint") as failure:
        start("streams", run, resume=True)
    assert str(file) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert file.read_bytes() == bad
