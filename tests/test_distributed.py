"""Several processes of torchrun train what one process trains."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from sum_task import registered
from token_task import SIGNALLED, TOKENS, UNWEIGHTED
from torch import Tensor

import zoo
from zoo.engine.checkpoint import read_header
from zoo.engine.run_directory import RunDirectory
from zoo.errors import UsageError

Train = Callable[..., zoo.Run]
Finished = subprocess.CompletedProcess[str]
SCRIPT = Path(__file__).parent / "distributed_script.py"
# Two layers of everything that happens between a gradient and a weight.
SETTINGS = {
    "steps": 50, "batch_size": 33, "hidden_size": 5, "optimizer": "adamw", "average": 0.9,
    "clip_norm": 1.0, "accumulate": 2, "schedule": "linear", "learning_rate": 0.01, "log_every": 7,
    "evaluate_every": 20, "checkpoint_every": 0,
}  # fmt: skip
# 160 rows: the last batch of an epoch has one, which is less than there are processes.
FEW = {"steps": 12, "batch_size": 53, "hidden_size": 5}
SHORT = {**SETTINGS, "steps": 24, "evaluate_every": 8}
DROPPED = {**SHORT, "model.dropout": 0.3, "num_layers": 2}
TEXTS = {
    "steps": 4, "hidden_size": 4, "tokens": "subwords", "ngram_weight": 0, "task.dropout": 0,
    "embed_dropout": 0, "word_dropout": 0,
}  # fmt: skip
BOOK = {
    "steps": 12, "hidden_size": 8, "embed_size": 4, "batch_size": 6, "bptt_steps": 20,
    "evaluate_every": 6, "task.dropout": 0, "model.dropout": 0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def tasks() -> Iterator[None]:
    with registered(TOKENS, UNWEIGHTED, SIGNALLED):
        yield


def torchrun(processes: int, *arguments: object, env: dict[str, str] | None = None) -> Finished:
    """Run torchrun on this machine; options of torchrun and a program with its arguments."""
    return subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone",
            f"--nproc-per-node={processes}", *map(str, arguments),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **(env or {})},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )  # fmt: skip


def train_together(processes: int, folder: Path, trainings: Sequence[dict[str, Any]]) -> None:
    plan = folder / "trainings.json"
    named = [{**training, "out": str(folder / training["out"])} for training in trainings]
    plan.write_text(json.dumps(named), encoding="utf-8")
    done = torchrun(processes, SCRIPT, plan)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, text_file: Path) -> Path:
    """Trainings of two processes."""
    folder = tmp_path_factory.mktemp("two")
    tokens = {"name": "tokens/lstm", "settings": SETTINGS}
    dropped = {"name": "tokens/lstm", "settings": DROPPED}
    signalled = {"name": "signalled/lstm", "settings": SHORT}
    book = {"name": "char-lm/lstm", "data": str(text_file), "settings": BOOK}
    texts = {"name": "text-classification/lstm", "settings": TEXTS}
    train_together(2, folder, [
        {**tokens, "out": "tokens"},
        {**tokens, "out": "few", "settings": FEW},
        {**dropped, "out": "dropped"},
        {**dropped, "out": "stopped", "stop_after": 15},
        {"out": "stopped", "resume": True},
        {**book, "out": "book"},
        {**book, "out": "book-stopped", "stop_after": 7},
        {**texts, "out": "texts"},
        {**signalled, "out": "whole"},
        {**signalled, "out": "step", "signal": ["SIGTERM", "train", 24]},
        {**signalled, "out": "evaluation", "signal": ["SIGTERM", "evaluate", 5]},
        {"out": "evaluation", "resume": True},
        {**tokens, "out": "small", "settings": {"batch_size": 1}},
        {**tokens, "out": "table", "data": [["a text", 1.0]]},
        {**tokens, "out": "unweighted", "name": "unweighted/lstm"},
    ])  # fmt: skip
    return folder


def tensors(run: Path, file: str = "checkpoint") -> dict[str, Tensor]:
    return load_file(run / f"{file}.safetensors")


def largest_difference(one: Path, other: Path) -> float:
    """Return that of the parameters, averages and recurrent states of two runs."""
    before, after = tensors(one), tensors(other)
    kinds = ("network.", "average.", "state.")
    names = [name for name in before if name.startswith(kinds)]
    assert names == [name for name in after if name.startswith(kinds)]
    return max(float((before[n].double() - after[n].double()).abs().max()) for n in names)


def assert_same_bits(one: Path, other: Path) -> None:
    for file in ("checkpoint", "weights"):
        before, after = tensors(one, file), tensors(other, file)
        assert before.keys() == after.keys()
        different = [name for name in before if not torch.equal(before[name], after[name])]
        assert different == []


def header(run: Path) -> dict[str, Any]:
    return read_header(run / "checkpoint.safetensors")


def lines(run: Path) -> list[dict[str, Any]]:
    return RunDirectory(run).read_metrics()


def results(folder: Path, run: str) -> list[list[str]]:
    """Return how trainings of a run ended, for each of two processes."""
    files = (folder / f"{run}.{rank}.txt" for rank in range(2))
    return [file.read_text(encoding="utf-8").splitlines() for file in files]


STOPPED, COMPLETE = "interrupted=True", "interrupted=False"


def alone(
    train_here: Train, out: Path, name: str, settings: dict[str, Any], data: str = ""
) -> Path:
    pairs = [f"{key}={value}" for key, value in settings.items()]
    return train_here(name, out, *pairs, data=data).path


# Equality


def test_parameters_are_those_of_one_process(two: Path, train_here: Train, tmp_path: Path) -> None:
    one = alone(train_here, tmp_path / "run", "tokens/lstm", SETTINGS)
    assert largest_difference(one, two / "tokens") < 1e-5


def test_a_batch_of_fewer_rows_than_processes_is_trained_on(
    two: Path, train_here: Train, tmp_path: Path
) -> None:
    one = alone(train_here, tmp_path / "run", "tokens/lstm", FEW)
    assert largest_difference(one, two / "few") < 1e-5


def test_log_and_evaluations_are_those_of_one_process(
    two: Path, train_here: Train, tmp_path: Path
) -> None:
    one = lines(alone(train_here, tmp_path / "run", "tokens/lstm", SETTINGS))
    found = lines(two / "tokens")
    assert [line["kind"] for line in found] == [line["kind"] for line in one]
    for before, after in zip(one, found, strict=True):
        exact = ("step", "epoch", "examples", "best", "batches", "learning_rate")
        assert [after.get(key) for key in exact] == [before.get(key) for key in exact]
        # `ordered` depends on the order in which a metric sees the batches.
        for key in {"loss", "batch_loss", "ordered"} & before.keys():
            assert after[key] == pytest.approx(before[key], rel=1e-4)


def test_carried_states_are_those_of_one_process(
    two: Path, train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    one = alone(train_here, tmp_path / "run", "char-lm/lstm", BOOK, str(text_file))
    assert tensors(two / "book")["state.0"].shape[1] == BOOK["batch_size"]
    assert largest_difference(one, two / "book") < 1e-5


def test_texts_with_subwords_are_shared(two: Path, train_here: Train, tmp_path: Path) -> None:
    one = alone(train_here, tmp_path / "run", "text-classification/lstm", TEXTS)
    assert largest_difference(one, two / "texts") < 1e-5


def test_a_stopped_run_is_resumed_bit_for_bit_by_as_many_processes(two: Path) -> None:
    assert results(two, "stopped") == [[STOPPED, COMPLETE]] * 2
    assert_same_bits(two / "stopped", two / "dropped")


def test_a_run_says_how_many_processes_trained_it(two: Path) -> None:
    assert zoo.open_run(two / "tokens").num_processes == 2


def test_a_run_of_two_processes_is_resumed_by_one(
    two: Path, train_here: Train, tmp_path: Path
) -> None:
    run = shutil.copytree(two / "book-stopped", tmp_path / "run")
    assert results(two, "book-stopped") == [[STOPPED]] * 2
    with pytest.raises(UsageError, match="processes is 1 and was 2"):
        train_here("", run, resume=True)
    train_here("", run, resume=True, allow_changed=True)
    assert largest_difference(run, two / "book") < 1e-5
    assert RunDirectory(run).read_config()["changes"][0]["changed"] == [
        {"name": "processes", "was": 2, "now": 1}
    ]


def test_four_processes_resume_what_two_began(two: Path, tmp_path: Path, text_file: Path) -> None:
    shutil.copytree(two / "book-stopped", tmp_path / "book")
    train_together(4, tmp_path, [
        {"out": "book", "resume": True, "allow_changed": True},
        {"out": "tokens", "name": "tokens/lstm", "settings": SETTINGS},
    ])  # fmt: skip
    assert largest_difference(tmp_path / "book", two / "book") < 1e-5
    assert largest_difference(tmp_path / "tokens", two / "tokens") < 1e-5


# Ends


def test_a_signal_to_one_process_ends_all_after_the_same_step(two: Path) -> None:
    assert results(two, "step") == [[STOPPED]] * 2
    state = header(two / "step")["state"]
    # Three steps in an epoch of five batches: the 24th batch is in step 14.
    assert (state["step"], state["done"]) == (14, False)


def test_a_signal_to_one_process_ends_an_evaluation_in_all(two: Path) -> None:
    """Process 1 computes three of six batches: its fifth call is in the second evaluation."""
    assert results(two, "evaluation") == [[STOPPED, COMPLETE]] * 2
    assert_same_bits(two / "evaluation", two / "whole")


def test_a_process_that_dies_resumes_when_torchrun_starts_it_again(
    two: Path, tmp_path: Path
) -> None:
    pairs = [x for key, value in SHORT.items() for x in ("--set", f"{key}={value}")]
    done = torchrun(
        2, "--max-restarts=1", SCRIPT, "train", "signalled/lstm", *pairs,
        "--threads", 1, "--device", "cpu", "--out", tmp_path / "run", "--no-report",
        env={"SEND": "SIGKILL train 30"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_same_bits(tmp_path / "run", two / "whole")
    # torchrun may end the first attempt before it has said that it lost a process.
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) <= 1
    assert all("another process of the training has ended" in error for error in errors)
    # The results of the second attempt, once.
    assert done.stdout.count("next:") == 1
    assert done.stdout.splitlines()[-1] == str(tmp_path / "run")
    assert done.stderr.count("network:") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="threads are read from /proc")
def test_the_threads_of_the_group_end_with_the_training(two: Path) -> None:
    """Those that are left when Python exits may end the process by SIGABRT."""
    for rank in range(2):
        threads = (two / f"trainings.json.{rank}.threads").read_text(encoding="utf-8").split("\n")
        assert "python" in threads
        assert not [name for name in threads if "gloo" in name]


# What is refused, in a line


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("small", "UsageError: a batch of 1 rows cannot be shared by 2 processes"),
        ("table", "UsageError: several processes cannot share a table in memory"),
        ("unweighted", "PluginError: several processes cannot share the loss of task 'unweighted'"),
    ],
)
def test_an_error_is_reported_by_one_process_and_ends_both(two: Path, run: str, said: str) -> None:
    (main,), (other,) = results(two, run)
    assert main.startswith(said)
    assert other.startswith("SharedFailureError: ")
    assert not (two / run).exists()


def test_a_command_that_fails_in_all_processes_says_so_once(tmp_path: Path) -> None:
    done = torchrun(
        2, "-m", "zoo", "train", "sample-lstm", "--batch-size", 1, "--out", tmp_path / "run"
    )
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert errors == [
        "error: a batch of 1 rows cannot be shared by 2 processes; start fewer of them, or set a "
        "larger batch_size"
    ]


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_a_process_that_is_missing_at_the_start_is_an_error_with_the_address(
    zoo_command: Callable[..., Finished], tmp_path: Path
) -> None:
    port = str(free_port())
    given = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    done = zoo_command(
        "train", "sample-lstm", "--out", tmp_path / "run",
        env={**given, "ZOO_PROCESS_TIMEOUT": "2"},
    )  # fmt: skip
    assert done.returncode == 7
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert f"process 0 of 2 has not met the others in 127.0.0.1:{port}: within 2 s" in line
    assert not (tmp_path / "run").exists()
