"""What several processes share: rows of a batch, the environment of torchrun, devices, threads."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sum_task import SumOptions
from token_task import Tokens, Unweighted

import zoo
from zoo.data.sequence import TokenSequence
from zoo.engine.processes import share_of
from zoo.environment import choose_device, default_threads, num_processors
from zoo.errors import UsageError
from zoo.interfaces import Batch
from zoo.launch import launch


@dataclass(frozen=True, kw_only=True)
class Described(Batch):
    extra: dict[str, Any]


def batch(rows: int) -> Described:
    pair, scale = (torch.arange(rows), "name"), torch.tensor(2.0)
    extra = {"mask": torch.eye(rows, 9), "pair": pair, "scale": scale}
    return Described(
        torch.randn(rows, 9), torch.arange(1, rows + 1), torch.zeros(rows), extra=extra
    )


@pytest.mark.parametrize(("rows", "size"), [(8, 2), (7, 4), (4, 4)])
def test_parts_of_a_batch_are_all_its_rows_once(rows: int, size: int) -> None:
    whole = batch(rows)
    parts = [whole.select(slice(rank, None, size)) for rank in range(size)]
    taken = torch.cat([part.extra["pair"][0] for part in parts])
    assert sorted(taken.tolist()) == list(range(rows))
    for name in ("inputs", "lengths", "targets"):
        assert torch.equal(
            torch.cat([getattr(p, name) for p in parts]), getattr(whole, name)[taken]
        )
    assert torch.equal(
        torch.cat([part.extra["mask"] for part in parts]), whole.extra["mask"][taken]
    )
    assert {part.extra["pair"][1] for part in parts} == {"name"}
    assert {float(part.extra["scale"]) for part in parts} == {2.0}


def test_a_tensor_that_is_not_of_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a batch of 4 rows has a tensor \(9, 4\)"):
        replace(batch(4), targets=torch.zeros(9, 4)).select(slice(0, None, 2))


@pytest.mark.parametrize("task", [Tokens, Unweighted])
def test_shares_of_a_batch_are_by_the_weight_that_the_task_gives(task: type[Unweighted]) -> None:
    found = [share_of(task(SumOptions()), batch(5), rank, 2)[1] for rank in range(2)]
    # Rows of 1 to 5 steps: the first process has those of 1, 3 and 5.
    assert found == ([9 / 15, 6 / 15] if task is Tokens else [3 / 5, 2 / 5])


def test_each_process_has_the_same_parts_of_a_text_in_all_batches() -> None:
    batches = list(TokenSequence(np.arange(1000), 10).train_batches(1, 0, 6))
    parts = [batch.select(slice(1, None, 4)).inputs for batch in batches]
    for before, after in itertools.pairwise(parts):
        assert torch.equal(after[:, 0], (before[:, -1] + 1) % 1000)


TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node", "MASTER_PORT": "29500", "TORCHELASTIC_RESTART_COUNT": "1",
}  # fmt: skip
SetEnvironment = Callable[..., None]


@pytest.fixture
def torchrun(monkeypatch: pytest.MonkeyPatch) -> SetEnvironment:
    def set_environment(**changes: str) -> None:
        for name, value in {**TORCHRUN, **changes}.items():
            monkeypatch.setenv(name, value)

    return set_environment


def test_the_environment_says_which_process_this_is(torchrun: SetEnvironment) -> None:
    assert launch().size == 1
    torchrun()
    here = launch()
    assert (here.rank, here.size, here.local_rank, here.local_size) == (3, 4, 1, 2)
    assert (here.address, here.restarts) == ("node:29500", 1)
    assert default_threads() == max(1, num_processors() // 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RANK": ""}, "the environment has no RANK: WORLD_SIZE=4 says"),
        ({"RANK": "4"}, "RANK='4' in the environment: it is no integer from 0 to 3"),
        ({"WORLD_SIZE": "many"}, "WORLD_SIZE='many' in the environment: it is no integer from 1"),
    ],
)
def test_an_environment_that_contradicts_itself_is_refused(
    changes: dict[str, str], message: str, torchrun: SetEnvironment
) -> None:
    torchrun(**changes)
    with pytest.raises(UsageError, match=message):
        launch()


def test_each_process_has_a_cuda_device_of_its_own(
    torchrun: SetEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchrun()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: torch.ones(1))
    assert choose_device("cuda") == choose_device() == torch.device("cuda:1")
    with pytest.raises(UsageError, match="cuda:0 is one device for 4 processes"):
        choose_device("cuda:0")
    torchrun(LOCAL_RANK="2")
    with pytest.raises(UsageError, match="no CUDA device for process 2 of this machine: it has 2"):
        choose_device()


def test_a_training_that_may_be_started_again_needs_a_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    with pytest.raises(UsageError, match="--max-restarts=3"):
        zoo.train("sample-lstm", progress=False)
    assert not list(tmp_path.iterdir())


def test_one_process_imports_nothing_of_several(tmp_path: Path) -> None:
    program = (
        "import sys, zoo, torch.distributed as dist\n"
        "zoo.train('sample-lstm', out='run', settings={'steps': 1, 'hidden_size': 2}, "
        "progress=False)\n"
        "assert 'zoo.engine.distributed' not in sys.modules\n"
        "assert not dist.is_initialized()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
