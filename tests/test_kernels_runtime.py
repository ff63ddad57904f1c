"""What compiled layers need at run time: threads, the cache of compiled code, vector registers."""

from __future__ import annotations

import importlib.util
import os
import platform
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("numba")
from numba.core import config as numba_config

from zoo.errors import ZooWarning
from zoo_recurrent.kernels import compiler, run_layer, threads

ROOT = Path(__file__).parent.parent
# A module with a function that is compiled as the kernels are.
DOUBLE = """
from zoo_recurrent.kernels.compiler import cached_jit

@cached_jit
def double(values):
    for i in range(values.size):
        values[i] *= 2
"""


def test_threads_of_python_give_the_same_where_there_is_no_openmp(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(1)
    layer, inputs = torch.nn.GRU(33, 40), torch.randn(70, 12, 33)
    arguments = inputs, torch.randint(1, 13, (70,)), (torch.zeros(70, 40),)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    results = []
    for _ in range(2):
        outputs, end = run_layer("GRU", *arguments, list(layer.parameters()), reverse=False)
        results.append([outputs, *end])
        monkeypatch.setattr(threads, "_openmp", lambda: None)
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("openmp", [True, False])
def test_every_part_is_run_once_and_an_exception_is_passed_on(
    openmp: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not openmp:
        monkeypatch.setattr(threads, "_openmp", lambda: None)
    done: list[int] = []
    threads.run_in_threads(done.append, 5)
    assert sorted(done) == [0, 1, 2, 3, 4]

    def fail(thread: int) -> None:
        if thread == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        threads.run_in_threads(fail, 2)


def test_an_interrupt_that_ctypes_drops_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def GOMP_parallel(self, *_: object) -> None:  # noqa: N802
            """Return as if no callback had come to its first line."""

    monkeypatch.setattr(threads, "_openmp", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        threads.run_in_threads(print, 2)


@pytest.fixture
def load_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path], Callable[[np.ndarray], None]]:
    """Load DOUBLE as a new process does, with a cache folder."""
    source = tmp_path / "double.py"
    source.write_text(DOUBLE)

    def load(cache: Path) -> Callable[[np.ndarray], None]:
        monkeypatch.setattr(numba_config, "CACHE_DIR", str(cache))
        compiler._cache_folder.cache_clear()
        spec = importlib.util.spec_from_file_location("double", source)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        compiler._cache_folder.cache_clear()
        double: Callable[[np.ndarray], None] = module.double
        return double

    return load


def doubles(function: Callable[[np.ndarray], None]) -> bool:
    values = np.arange(5.0)
    function(values)
    return values.tolist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("damage", ["cut", "zeros"])
def test_compiled_code_is_cached_and_damaged_files_are_replaced(
    damage: str, tmp_path: Path, load_double: Callable[[Path], Callable[[np.ndarray], None]]
) -> None:
    assert doubles(load_double(tmp_path / "cache"))
    (path,) = (tmp_path / "cache").rglob("*.nbc")
    code, written = path.read_bytes(), path.stat().st_mtime_ns
    assert doubles(load_double(tmp_path / "cache"))
    assert path.stat().st_mtime_ns == written, "compiled again"
    half = len(code) // 2
    path.write_bytes(code[:half] + (b"" if damage == "cut" else bytes(half)))
    assert doubles(load_double(tmp_path / "cache"))
    (replaced,) = (tmp_path / "cache").rglob("*.nbc")
    assert replaced.stat().st_size == len(code)


@pytest.mark.parametrize("damage", ["cut", "zeros", "empty"])
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_files_that_are_damaged_after_they_were_checked_are_done_without(
    kind: str,
    damage: str,
    tmp_path: Path,
    load_double: Callable[[Path], Callable[[np.ndarray], None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert doubles(load_double(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "_is_intact", lambda folder: True)
    (path,) = (tmp_path / "cache").rglob(f"*.{kind}")
    size = path.stat().st_size
    left = {"cut": path.read_bytes()[: size // 2], "zeros": bytes(size), "empty": b""}
    path.write_bytes(left[damage])
    assert doubles(load_double(tmp_path / "cache"))


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_compiled_code_that_others_may_have_written_is_compiled_anew(
    tmp_path: Path, load_double: Callable[[Path], Callable[[np.ndarray], None]]
) -> None:
    assert doubles(load_double(tmp_path / "cache"))
    (folder,) = (tmp_path / "cache").iterdir()
    (path,) = folder.rglob("*.nbc")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    written = path.stat().st_mtime_ns
    folder.chmod(0o755)
    assert doubles(load_double(tmp_path / "cache"))
    assert path.stat().st_mtime_ns == written
    for mode, changed in ((0o777, folder), (0o666, path)):
        folder.chmod(0o755)
        written = path.stat().st_mtime_ns
        changed.chmod(mode)
        assert doubles(load_double(tmp_path / "cache"))
        assert path.stat().st_mtime_ns > written
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_compiled_code_of_another_user_is_not_run(
    tmp_path: Path, load_double: Callable[[Path], Callable[[np.ndarray], None]]
) -> None:
    assert doubles(load_double(tmp_path / "cache"))
    (folder,) = (tmp_path / "cache").iterdir()
    for given in (folder, tmp_path / "cache"):
        os.chown(given, 12345, -1)
        before = sorted(folder.rglob("*"))
        with pytest.warns(ZooWarning, match=f"{given} belongs to another user; set NUMBA"):
            assert doubles(load_double(tmp_path / "cache"))
        assert sorted(folder.rglob("*")) == before
        os.chown(given, 0, -1)
    (tmp_path / "cache").chmod(0o777)
    with pytest.warns(ZooWarning, match=f"others can write to {tmp_path / 'cache'}"):
        assert doubles(load_double(tmp_path / "cache"))


def test_without_a_home_folder_nothing_is_cached(
    load_double: Callable[[Path], Callable[[np.ndarray], None]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert doubles(load_double(Path("~/.cache/zoo")))
    assert not Path("~").exists()


def test_a_cache_folder_that_cannot_be_made_is_done_without(
    tmp_path: Path, load_double: Callable[[Path], Callable[[np.ndarray], None]]
) -> None:
    (tmp_path / "file").touch()
    assert doubles(load_double(tmp_path / "file" / "cache"))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on the size of files")
def test_a_full_disk_does_not_stop_a_computation(tmp_path: Path) -> None:
    (tmp_path / "double.py").write_text(DOUBLE)
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "
        "import numpy, double; a = numpy.ones(3); double.double(a); print(a)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert done.stdout == "[2. 2. 2.]\n", done.stderr


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="AVX is x86's")
def test_processors_without_wide_vectors_compute_the_same() -> None:
    test = "tests/test_kernels.py::test_results_and_gradients_equal_those_of_packed_sequences"
    code = (
        "from llvmlite import binding; binding.get_host_cpu_features = dict; import pytest, sys; "
        f"sys.exit(pytest.main(['{test}[2-LSTM-(70, 12, 33, 40)-False]']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"},
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
