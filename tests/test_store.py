"""The cache of encoded data: an entry is built once, and is complete or absent."""

from __future__ import annotations

import os
import shutil
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from zoo.data import locks, store
from zoo.errors import DataError, DiskError, ZooWarning


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    return tmp_path


class Build:
    """Writes an array, and counts how often it is asked to."""

    def __init__(self, values: list[int]) -> None:
        self.values = values
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        time.sleep(0.05)  # Long enough for other threads to ask for the entry.
        store.save(folder, "values", np.array(self.values))


def test_an_entry_is_built_once(cache: Path) -> None:
    build = Build([1, 2, 3])
    entry = store.cached({"digest": "a", "version": 1}, build)
    # The order of keys does not matter.
    assert store.cached({"version": 1, "digest": "a"}, build) == entry
    assert build.calls == 1
    assert store.load(entry, "values").tolist() == [1, 2, 3]
    assert entry.is_relative_to(cache)


def test_another_key_is_another_entry(cache: Path) -> None:
    one = store.cached({"digest": "a", "version": 1}, Build([1]))
    for key in ({"digest": "b", "version": 1}, {"digest": "a", "version": 2}, {"digest": "a"}):
        build = Build([2])
        assert store.cached(key, build) != one
        assert build.calls == 1
    assert store.load(one, "values").tolist() == [1]


def test_a_build_that_fails_leaves_nothing_and_is_tried_again(cache: Path) -> None:
    def fail(folder: Path) -> None:
        store.save(folder, "values", np.array([1]))
        raise DataError("bad data")

    with pytest.raises(DataError, match="bad data"):
        store.cached({"digest": "a"}, fail)
    assert [path for path in (cache / "encoded").iterdir() if path.suffix != ".lock"] == []
    build = Build([5])
    store.cached({"digest": "a"}, build)
    assert build.calls == 1


def test_what_a_crash_left_behind_is_not_used(cache: Path) -> None:
    entry = store.cached({"digest": "a"}, Build([1]))
    entry.rename(entry.with_name(".building-crashed"))
    build = Build([2])
    assert store.load(store.cached({"digest": "a"}, build), "values").tolist() == [2]
    assert build.calls == 1


def test_concurrent_callers_build_once(cache: Path) -> None:
    build = Build([1])
    together = threading.Barrier(4)

    def get(_: int) -> Path:
        together.wait()
        return store.cached({"digest": "a"}, build)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(get, range(4)))) == 1
    assert build.calls == 1


def test_arrays_are_mapped_and_cannot_be_changed(cache: Path) -> None:
    values = store.load(store.cached({"digest": "a"}, Build([1, 2])), "values")
    assert isinstance(values, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 9


def test_a_full_disk_is_reported(cache: Path) -> None:
    def fail(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(DiskError, match=r"No space left on device.*ZOO_CACHE"):
        store.cached({"digest": "a"}, fail)


def test_a_cache_that_cannot_be_written_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file"))
    with pytest.raises(DiskError, match="set ZOO_CACHE"):
        store.cached({"digest": "a"}, Build([1]))


def zeros(path: Path) -> None:
    """Write what a disk may hold after a power cut: as many zeros."""
    path.write_bytes(bytes(path.stat().st_size))


def shorter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("name", ["values.npy", "manifest.json"])
@pytest.mark.parametrize("damage", [zeros, shorter, Path.unlink])
def test_a_damaged_entry_is_built_again(
    name: str, damage: Callable[[Path], None], cache: Path
) -> None:
    key, build = {"digest": "a"}, Build([1, 2, 3])
    entry = store.cached(key, build)
    damage(entry / name)
    # Without a manifest it is of an earlier version, which is no damage.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert store.load(store.cached(key, build), "values").tolist() == [1, 2, 3]
    is_told = [warning.category for warning in caught] == [ZooWarning]
    assert is_told == (name != "manifest.json" or damage is not Path.unlink)
    assert build.calls == 2


def test_a_process_reads_an_entry_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Build([1, 2, 3])
    store.cached({"digest": "once"}, build)
    store.cached({"digest": "once"}, build)
    monkeypatch.setattr(store, "_checksum", lambda path: pytest.fail("read again"))
    store.cached({"digest": "once"}, build)
    assert build.calls == 1


def test_files_and_folder_are_synced_before_an_entry_gets_its_name(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    sync, rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        events.append("renamed")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    entry = store.cached({"digest": "a"}, Build([1]))
    building = f".building-{entry.name}"
    assert sorted(events[:2]) == ["manifest.json", "values.npy"]
    assert events[2:] == [building, "renamed", "encoded"]


def test_leftovers_of_killed_processes_and_of_earlier_versions_are_removed(cache: Path) -> None:
    first = store.cached({"task": "a", "digest": "x", "version": 1}, Build([1]))
    other = store.cached({"task": "b", "digest": "x", "version": 1}, Build([1]))
    (cache / "encoded" / ".building-killed").mkdir()
    (cache / "encoded" / "without-manifest").mkdir()
    running = cache / "encoded" / ".building-running"
    running.mkdir()
    with FileLock(running.with_name("running.lock")):
        second = store.cached({"task": "a", "digest": "y", "version": 2}, Build([2]))
    left = {path for path in (cache / "encoded").iterdir() if path.is_dir()}
    assert left == {other, second, running}
    assert not first.exists()


def test_waiting_for_another_process_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "NOTICE_SECONDS", 0.01)
    build = Build([1])
    with ThreadPoolExecutor(1) as pool, pytest.warns(ZooWarning, match="encodes the same data"):
        pool.submit(store.cached, {"digest": "a"}, build)
        while not build.calls:
            time.sleep(0.001)
        store.cached({"digest": "a"}, build)
    assert build.calls == 1


def test_what_a_killed_process_left_behind_is_removed(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(shutil, "rmtree", lambda *_, **__: None)
        store.cached({"digest": "killed"}, dies)
    entry = store.cached({"digest": "killed"}, lambda folder: None)
    assert not (entry / "half").exists()
