"""A run survives kills, crashes and stops with the same bits; two trainings leave one run."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import StopAfter
from promises import Promise
from sum_task import registered
from test_resume import Kill, KilledError, assert_same, checkpoint

import zoo
from zoo.errors import UsageError, ZooError, ZooWarning
from zoo.weights.file import read

KILLED = Promise(
    "A training that is killed (SIGKILL) at a random moment resumes bit for bit", quick=4, full=60
)
CRASHED = Promise(
    "A crash at any write leaves the old file or the new one, and the run resumes bit for bit",
    quick=8,
    full=60,
)
STOPPED = Promise(
    "A training that is stopped or dies at any step, more than once, resumes bit for bit",
    quick=12,
    full=150,
)
TOGETHER = Promise(
    "Of two trainings started at once in one directory, one leaves a consistent run, the other is "
    "refused",
    quick=3,
    full=30,
)
EDITED = Promise(
    "A run whose configuration was edited is not resumed, and its files stay", quick=12, full=60
)

STEPS = 12
# Windows of batches, of the log and between evaluations end at different steps; random numbers are
# drawn in every step.
SETTINGS = {
    "hidden_size": "3", "steps": str(STEPS), "batch_size": "16", "accumulate": "3",
    "average": "0.8", "evaluate_every": "5", "log_every": "4", "initial_state": "random",
    "learning_rate": "0.05", "schedule": "one-cycle",
}  # fmt: skip
AT_EVERY_STEP = {"checkpoint_every": "1e-9"}
AT_EVALUATIONS = {"checkpoint_every": "0"}

fork = multiprocessing.get_context("fork")


@pytest.fixture(scope="module", autouse=True)
def sums() -> Iterator[None]:
    with registered():
        yield


def start(out: Path, when: dict[str, str], *, seed: int = 1, data: Any = "", **how: Any) -> zoo.Run:
    return zoo.train(
        "sum/lstm", data, out=out, settings=SETTINGS | when, seed=seed, device="cpu", threads=1,
        progress=False, **how,
    )  # fmt: skip


def resume(out: Path, **how: Any) -> zoo.Run:
    return zoo.resume(out, device="cpu", threads=1, progress=False, **how)


def go_on(out: Path, when: dict[str, str]) -> None:
    """Complete a training of which nothing needs to have been written."""
    if (out / "config.json").exists():
        resume(out)
    else:
        start(out, when)


def log(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


TIMES = ("seconds", "rows_per_second")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, str]], Path]:
    """Return the directory of a training that nothing happened to."""
    done: dict[str, Path] = {}

    def get(when: dict[str, str]) -> Path:
        (key,) = when.values()
        if key not in done:
            done[key] = tmp_path_factory.mktemp("whole") / "run"
            assert not start(done[key], when).interrupted
        return done[key]

    return get


def assert_as_whole(run: Path, whole: Path) -> None:
    assert_same(run, whole)
    assert log(run) == log(whole)
    # Nothing of a write that was not completed is left.
    assert {path.name for path in run.iterdir()} == {path.name for path in whole.iterdir()}


def in_a_process(action: Callable[[], object]) -> Any:
    """Start a process that ends with the exit code of the failure."""

    def run() -> None:
        os.environ["OMP_NUM_THREADS"] = "1"
        try:
            action()
        except ZooError as error:
            os._exit(error.exit_code)
        os._exit(0)

    process = fork.Process(target=run)
    process.start()
    return process


def test_killed_at_a_random_moment(whole: Any, tmp_path: Path) -> None:
    chance = random.Random(14)
    whole(AT_EVERY_STEP)
    began = time.monotonic()
    start(tmp_path / "timed", AT_EVERY_STEP)
    seconds = time.monotonic() - began
    for case in range(KILLED.cases):
        out, when = tmp_path / str(case), (AT_EVERY_STEP, AT_EVALUATIONS)[case % 2]
        for _ in range(2):
            process = in_a_process(partial(go_on, out, when))
            process.join(chance.uniform(0, seconds))
            process.kill()
            process.join(60)
        go_on(out, when)
        assert_as_whole(out, whole(when))


class Disk:
    """Counts writes, and from a number on fails at each: the process is dead, nothing is tidied."""

    CALLS = ("fsync", "replace", "unlink", "fchmod", "ftruncate")

    def __init__(self, last: int | None = None) -> None:
        self.count, self.last = 0, last

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in self.CALLS:
            patch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            self.count += 1
            if self.last is not None and self.count > self.last:
                raise KilledError
            return call(*arguments, **more)

        return counted


def test_crashes_at_writes(whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    with monkeypatch.context() as patch:
        disk.install(patch)
        start(tmp_path / "counted", AT_EVERY_STEP)
    assert disk.count > 2 * STEPS
    # All of the first writes, which make the run, and a sample of the others.
    later = random.Random(3).sample(range(5, disk.count), CRASHED.cases - 5)
    for last in [*range(5), *later]:
        out = tmp_path / str(last)
        with monkeypatch.context() as patch:
            Disk(last).install(patch)
            with pytest.raises(KilledError):
                start(out, AT_EVERY_STEP)
        if (out / "weights.safetensors").exists():
            read(out / "weights.safetensors")  # Its digest is right.
        go_on(out, AT_EVERY_STEP)
        assert_as_whole(out, whole(AT_EVERY_STEP))


def test_stopped_at_any_step(whole: Any, tmp_path: Path) -> None:
    chance = random.Random(7)
    for case in range(STOPPED.cases):
        out, when = tmp_path / str(case), (AT_EVERY_STEP, AT_EVALUATIONS)[case % 2]
        step = 0
        while True:
            step += chance.randint(1, STEPS)
            kill = chance.random() < 0.5
            follower = Kill(step) if kill else StopAfter(chance.randint(1, STEPS))
            run = resume if (out / "config.json").exists() else start
            arguments = () if run is resume else (when,)
            try:
                if not run(out, *arguments, callbacks=[follower]).interrupted:
                    break
            except KilledError:
                continue
        assert_as_whole(out, whole(when))


def test_two_trainings_at_once(tmp_path: Path) -> None:
    for case in range(TOGETHER.cases):
        out, barrier = tmp_path / str(case), fork.Barrier(2)

        def train(seed: int, out: Path = out, barrier: Any = barrier) -> None:
            barrier.wait(60)
            start(out, AT_EVALUATIONS, seed=seed, data=[("a", f"of {seed}")])

        processes = [in_a_process(partial(train, seed)) for seed in (1, 2)]
        for process in processes:
            process.join(120)
        codes = [process.exitcode for process in processes]
        assert sorted(codes) == [0, UsageError.exit_code], codes
        seed = codes.index(0) + 1
        assert json.loads((out / "config.json").read_text())["seed"] == seed
        assert read(out / "weights.safetensors").header["run"]["seed"] == seed
        assert checkpoint(out)[0]["config"]["seed"] == seed
        assert f"of {seed}" in (out / "data.jsonl").read_text()
        assert not resume(out).interrupted


def leaves(document: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        elif key not in NOT_SETTINGS:
            yield (*path, key)


# What wrote the file; and the length, which is extended, and the run goes on.
NOT_SETTINGS = {"format", "requires", "zoo", "distribution", "version", "epochs", "steps"}


def edits(value: Any) -> list[Any]:
    """Return other values, most of them allowed for an option that has this one."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value * 2 + 0.5, -1]
    if isinstance(value, str):
        return ["sgd", "linear", "last", ""]
    return [["other"]]


def test_an_edited_configuration_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    start(out, AT_EVALUATIONS, callbacks=[StopAfter(8)])
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    config = json.loads(before["config.json"])
    found = [
        (path, new)
        for path in leaves(config)
        for new in edits(get(config, path))
        if new != get(config, path)
    ]
    chosen = random.Random(5).sample(found, EDITED.cases)
    for path, new in [(("data_sha256",), None), (("seed",), 2), *chosen[2:]]:
        changed = json.loads(before["config.json"])
        place = get(changed, path[:-1])
        if new is None:
            del place[path[-1]]
        else:
            place[path[-1]] = new
        (out / "config.json").write_text(json.dumps(changed))
        with warnings.catch_warnings(), pytest.raises(ZooError) as failure:
            warnings.simplefilter("ignore", ZooWarning)
            resume(out, allow_changed=path[-1] not in ("data", "init"))
        assert "\n" not in str(failure.value), (path, new)
        (out / "config.json").write_bytes(before["config.json"])
        assert {file.name: file.read_bytes() for file in out.iterdir()} == before, (path, new)


def get(document: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        document = document[key]
    return document
