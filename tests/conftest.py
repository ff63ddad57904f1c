"""What tests share: a private cache, the command line in a process of its own, two trained runs."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from zoo.catalog import Catalog, read
from zoo.cli.main import main
from zoo.engine.device import choose
from zoo.registry import Registry

# Small networks are fastest on one thread; commands choose for themselves.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Compiled once for all tests, in this process and others.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parent.parent / ".numba_cache"))

Run = Callable[..., subprocess.CompletedProcess[str]]
Install = Callable[..., Path]
REAL_DATA = Path(
    os.environ.get("ZOO_TEST_DATA") or Path(__file__).parent.parent.parent / "shared" / "data"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if REAL_DATA.is_dir():
        return
    skip = pytest.mark.skip(reason=f"no real data in {REAL_DATA}; set ZOO_TEST_DATA")
    for item in items:
        if item.get_closest_marker("real_data"):
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep tests out of the user's cache, and off registries that the user named."""
    cache = tmp_path_factory.mktemp("cache")
    os.environ["ZOO_CACHE"] = str(cache)
    os.environ.pop("ZOO_REGISTRY", None)
    return cache


@pytest.fixture(scope="session", autouse=True)
def quick_arithmetic() -> None:
    """Set this process up as the commands do, on one thread: tests are small and many."""
    choose("cpu", threads=1)


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry.installed()


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return read()


@pytest.fixture(scope="session")
def zoo_command() -> Run:
    """Run ``zoo ARGUMENTS`` as a user does; ``stdin``, ``cwd`` and ``env`` may be given."""

    def run(
        *arguments: object,
        stdin: str = "",
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "zoo", *map(str, arguments)],
            input=stdin,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def zoo_here() -> Run:
    """Run ``zoo ARGUMENTS`` in this process, which saves importing torch; else as zoo_command."""

    def run(
        *arguments: object, stdin: str = "", cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            patch.setenv("ZOO_REGISTRY", "")  # Put back afterwards: --registry sets it.
            if cwd:
                patch.chdir(cwd)
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code
        assert isinstance(code, int)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Lay a stranger's plugin out as pip would, where this process finds it.

    ``install_plugin(distribution, source)``; a source of None leaves the module out.
    """
    modules = []

    def install(distribution: str, source: str | None) -> Path:
        module = distribution.replace("-", "_")
        folder = tmp_path / "site" / distribution
        metadata = folder / f"{module}-2.5.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.5\n"
        )
        (metadata / "entry_points.txt").write_text(f"[zoo]\n{distribution} = {module}\n")
        if source is not None:
            (folder / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(folder)
        modules.append(module)
        return folder

    yield install
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture(scope="session")
def sentiment_run(tmp_path_factory: pytest.TempPathFactory, zoo_command: Run) -> Path:
    """A run directory of sentiment/lstm, trained on the sample for an epoch."""
    out = tmp_path_factory.mktemp("runs") / "sentiment"
    done = zoo_command(
        "train", "sample-lstm", "--epochs", 1, "--set", "hidden_size=16", "--threads", 1,
        "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text of 40 distinct sentences, some 20,000 characters."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    lines = [
        f"The {n}th sailor counted {n * 7 % 41} gulls, {n * 3 % 17} ships.\n" for n in range(400)
    ]
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def char_lm_run(
    tmp_path_factory: pytest.TempPathFactory, zoo_command: Run, text_file: Path
) -> Path:
    """A run directory of char-lm/lstm, trained on ``text_file`` for 30 steps."""
    out = tmp_path_factory.mktemp("runs") / "char-lm"
    done = zoo_command(
        "train", "char-lm/lstm", "--data", text_file, "--steps", 30, "--out", out,
        "--set", "hidden_size=32", "--set", "embed_size=16", "--threads", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


class Watcher:
    """What an in-process training tells: called with the position after every step."""

    def __init__(self, on_step: Callable[[Any], None] | None = None) -> None:
        self.called = on_step
        self.steps = 0

    def on_step(self, progress: float, position: Any, loss: float) -> None:
        self.steps += 1
        if self.called:
            self.called(position)

    def on_evaluation(self, line: Any) -> None:
        pass


@pytest.fixture(scope="session")
def train_here(registry: Registry, catalog: Catalog) -> Callable[..., Any]:
    """Train in this process: ``train_here(name, out, "key=value", ...)`` returns the Outcome.

    ``data``, ``seed`` and ``resume`` are those of ``zoo train``; ``stop_after`` interrupts the
    sitting after so many steps; ``on_step`` is called with the position after every step;
    ``prepared`` with data and network before the first.
    """

    def train(
        name: str,
        out: Path,
        *settings: str,
        data: object = "",
        seed: int = 1,
        resume: bool = False,
        stop_after: int = 0,
        on_step: Callable[[Any], None] | None = None,
        prepared: Callable[[Any, Any], None] = lambda data, network: None,
    ) -> Any:
        import torch

        from zoo.config import resolve
        from zoo.engine.rundir import RunDirectory
        from zoo.engine.session import run_training

        pairs = [(key, value) for key, _, value in (text.partition("=") for text in settings)]
        watcher = Watcher(on_step)
        return run_training(
            resolve(name, registry, catalog, pairs, data=str(data), seed=seed),
            registry,
            catalog,
            RunDirectory(out),
            torch.device("cpu"),
            watcher,
            resume=resume,
            interrupted=lambda: watcher.steps == stop_after,
            prepared=prepared,
        )

    return train
