"""The files of a run: written whole, by one process at a time, and bound to its weights."""

from __future__ import annotations

import contextlib
import json
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from sum_task import registered
from toy_task import TOY

import zoo
import zoo.api
from zoo.engine.run_directory import RunDirectory
from zoo.errors import DiskError, UsageError, WeightsError
from zoo.files import remove_temporaries, write_atomically
from zoo.weights.file import inspect

Train = Callable[..., zoo.Run]
SETTINGS = ("hidden_size=3", "batch_size=16", "epochs=4", "learning_rate=0.05")


@pytest.fixture(autouse=True)
def sums() -> Iterator[None]:
    with registered():
        yield


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    write_atomically(file, b"first")
    usual = stat.S_IMODE(file.stat().st_mode)
    link.symlink_to(file)
    for mode in (0o600, 0o640, 0o444):
        file.chmod(mode)
        write_atomically(link, b"second")
        assert stat.S_IMODE(file.stat().st_mode) == mode
    file.unlink()
    write_atomically(link, b"new")
    assert stat.S_IMODE(file.stat().st_mode) == usual
    with pytest.raises(DiskError, match="it is not a regular file"):
        write_atomically(tmp_path, b"")


def test_temporary_files_of_crashed_writes_are_removed_when_the_run_goes_on(
    train_here: Train, tmp_path: Path
) -> None:
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, stop_after=3)
    own = [run.path / ".weights.safetensors.0123abcd", run.path / ".config.json.ffffffff"]
    others = [
        run.path / name
        for name in (".weights.safetensors.0123abc", ".notes.0123abcd", "config.json.0123abcd")
    ]
    for path in (*own, *others):
        path.write_text("half")
    train_here("", run.path, resume=True)
    assert not any(path.exists() for path in own)
    assert all(path.exists() for path in others)
    remove_temporaries(run.path / "nowhere" / "file")


def test_a_directory_is_locked_before_it_exists_and_left_as_it_was(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "new" / "run")
    with directory.lock():
        with pytest.raises(UsageError, match="another process is training"):
            zoo.train("sum/lstm", out=directory.path, progress=False)
        with pytest.raises(UsageError, match="another process is training"):
            zoo.train("sum/lstm", [("a", "b")], out=directory.path, progress=False)
        assert [path.name for path in directory.path.iterdir()] == [".lock"]
    assert not (tmp_path / "new").exists()


def test_a_run_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run in"):
        zoo.resume(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_an_exported_score_is_that_of_the_exported_weights(
    train_here: Train, tmp_path: Path
) -> None:
    """Train, interrupt, evaluate, resume, export."""
    out, file = tmp_path / "run", tmp_path / "weights.safetensors"
    train_here("sum/lstm", out, *SETTINGS, stop_after=10)
    old = zoo.api.evaluate(out, threads=1, progress=False)
    zoo.api.export(out, file)
    assert inspect(file).header["metrics"]["test"]["loss"] == old["loss"]
    stored = (out / "evaluations.json").read_bytes()
    run = train_here("", out, resume=True)
    (out / "evaluations.json").write_bytes(stored)  # As if it had been stored a moment later.
    assert "test" not in zoo.open_run(out).metrics
    zoo.api.export(out, file, overwrite=True)
    assert "test" not in inspect(file).header["metrics"]
    assert run.test
    assert run.test["loss"] != old["loss"]
    zoo.api.export(out, file, overwrite=True)
    assert inspect(file).header["metrics"]["test"]["loss"] == run.test["loss"]


def test_two_evaluations_at_once_are_both_kept(
    train_here: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS)
    measured = zoo.load(run.path).evaluate("sample")
    reading = RunDirectory.read_evaluations
    both = threading.Barrier(2)

    def read_slowly(self: RunDirectory) -> dict[str, Any]:
        found = reading(self)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # Where both may read before one of them writes, they do.
        return found

    monkeypatch.setattr(RunDirectory, "read_evaluations", read_slowly)
    threads = [
        threading.Thread(target=RunDirectory(run.path).add_evaluation, args=(split, measured))
        for split in ("test", "validation")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monkeypatch.undo()
    assert RunDirectory(run.path).read_evaluations().keys() == {"test", "validation"}


@pytest.mark.parametrize("content", ["[]", "{", '{"test": 3}', "[" * 100_000, "\ud800"])
def test_damaged_evaluations_are_a_line(content: str, train_here: Train, tmp_path: Path) -> None:
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS)
    (run.path / "evaluations.json").write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(WeightsError, match=r"evaluations\.json"):
        _ = run.test


def test_seeds_and_names_of_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (-1, 2**32):
        with pytest.raises(UsageError, match=r"the seed cannot be used: .* is not an integer"):
            zoo.train("sum/lstm", seed=seed, progress=False)
    monkeypatch.setattr("time.strftime", lambda form: "now")
    settings = {"steps": 1, "hidden_size": 3}
    names = [
        zoo.train("sum/lstm", settings=settings, threads=1, progress=False).path for _ in range(2)
    ]
    assert [path.name for path in names] == ["sum-lstm-now", "sum-lstm-now-2"]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("90", 90.0), ("30s", 30.0), ("5m", 300.0), ("1.5h", 5400.0), ("0", 0.0)],
)
def test_the_time_between_checkpoints(
    time: str, seconds: float, tmp_path: Path, zoo_here: Run
) -> None:
    zoo.register(TOY)
    out = tmp_path / "run"
    done = zoo_here("train", "toy/gru", "--epochs", 1, "--checkpoint-every", time, "--out", out)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "config.json").read_text())["training"]["checkpoint_every"] == seconds


@pytest.mark.parametrize("time", ["", "x", "-5m", "5d", "1e3", "٣m", "9" * 30])
def test_a_time_that_is_none(time: str, tmp_path: Path, zoo_here: Run) -> None:
    done = zoo_here("train", "sum/gru", "--checkpoint-every", time, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "is no time; for instance 90, 30s, 5m or 1h" in done.stderr
    assert not (tmp_path / "run").exists()


def test_baselines_stay_with_an_evaluation_that_is_made_again_without_them(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    of = {"weights_sha256": "w", "data_sha256": "d"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunDirectory, "read_evaluations", lambda self: stored(self))
        directory.add_evaluation("test", {**of, "baselines": {"majority": 0.5, "linear": 0.8}})
        directory.add_evaluation("test", {**of, "baselines": {"majority": 0.5}})
        assert stored(directory)["test"]["baselines"] == {"majority": 0.5, "linear": 0.8}
        directory.add_evaluation("test", {**of, "data_sha256": "other", "baselines": {}})
        assert stored(directory)["test"]["baselines"] == {}


def test_what_was_measured_on_other_data_does_not_replace_the_score_of_the_training(
    tmp_path: Path,
) -> None:
    out, other = tmp_path / "run", tmp_path / "other.txt"
    other.write_text("another text, which is not that of the training. " * 30)
    run = zoo.train("char-lm/gru", out=out, settings={"steps": 2, "hidden_size": 4}, progress=False)
    score = run.test
    assert score
    found = zoo.api.evaluate(out, other, progress=False)
    assert found["loss"] != score["loss"]
    assert stored(RunDirectory(out))["test"] == score
    (out / "evaluations.json").unlink()
    zoo.api.evaluate(out, other, progress=False)
    assert stored(RunDirectory(out))["test"] == found
    assert zoo.open_run(out).test == score
    assert stored(RunDirectory(out))["test"] == score


def test_a_run_that_is_opened_again_says_whether_it_is_complete(tmp_path: Path) -> None:
    class Stop(zoo.Callback):
        def on_step_end(self, trainer: Any) -> None:
            trainer.stop("enough")

    settings = {"steps": 3, "hidden_size": 3}
    out = tmp_path / "run"
    zoo.train("sum/lstm", out=out, settings=settings, callbacks=[Stop()], progress=False)
    assert zoo.open_run(out).interrupted
    assert zoo.open_run(out).facts()["state"] == "interrupted"
    assert not zoo.resume(out, progress=False).interrupted
    assert not zoo.open_run(out).interrupted
    assert zoo.open_run(out).facts()["state"] == "complete"


def stored(directory: RunDirectory) -> dict[str, Any]:
    """Return what the file has, of whatever weights."""
    if not directory.evaluations.exists():
        return {}
    found: dict[str, Any] = json.loads(directory.evaluations.read_text(encoding="utf-8"))
    return found
