"""Fixtures: a private cache, the command line in a process of its own, two trained runs."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo import installed
from zoo.cli.main import main
from zoo.entry_points import DISTRIBUTION, read_points
from zoo.environment import set_up_process
from zoo.interfaces import Callback
from zoo.registry import Registry

# Small networks are fastest on one thread; commands choose for themselves.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Idle threads of torch wait without spinning, which would slow a busy machine down.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
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
    for name in ("ZOO_REGISTRY", "ZOO_PLUGINS", "ZOO_BACKEND"):
        os.environ.pop(name, None)
    points = read_points()
    ours = [point.name for point in points if point.distribution == DISTRIBUTION]
    if len(ours) < len(points):
        # Tests see the plugins of this package and those that they install themselves.
        os.environ["ZOO_PLUGINS"] = ",".join(ours)
    return cache


@pytest.fixture(scope="session", autouse=True)
def quick_arithmetic() -> None:
    """Set this process up as the commands do, on one thread: tests are small and many."""
    set_up_process(threads=1)


@pytest.fixture(autouse=True)
def same_number_of_threads() -> Iterator[None]:
    """Undo what a test, or a command that it runs in this process, sets."""
    before = torch.get_num_threads()
    yield
    if torch.get_num_threads() != before:
        torch.set_num_threads(before)


@pytest.fixture(scope="module")
def every_plugin() -> Iterator[None]:
    """Load every installed plugin during the tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ZOO_PLUGINS", raising=False)
        installed.forget()
        yield
    installed.forget()


@pytest.fixture
def registry() -> Registry:
    return installed.registry()


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
            # Restored afterwards: --registry and --no-plugins set them.
            patch.setenv("ZOO_REGISTRY", os.environ.get("ZOO_REGISTRY", ""))
            if "ZOO_PLUGINS" in os.environ:
                patch.setenv("ZOO_PLUGINS", os.environ["ZOO_PLUGINS"])
            else:
                patch.delenv("ZOO_PLUGINS", raising=False)
            if cwd:
                patch.chdir(cwd)
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code
        assert isinstance(code, int)
        return subprocess.CompletedProcess(
            list(map(str, arguments)), code, out.getvalue(), err.getvalue()
        )

    return run


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Lay out a plugin as pip would, where this process finds it, and forget the registry.

    ``install_plugin(distribution, source)``; a source of None leaves the module out.
    """
    modules = []
    # Python takes compiled code for that of a source of the same size and second.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

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
        if chosen := os.environ.get("ZOO_PLUGINS"):
            monkeypatch.setenv("ZOO_PLUGINS", f"{chosen},{distribution}")
        modules.append(module)
        installed.forget()
        return folder

    yield install
    installed.forget()
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


class StopAfter(Callback):
    """Stops a training after a number of steps of this process."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_step_end(self, trainer: Any) -> None:
        self.left -= 1
        if not self.left:
            trainer.stop("the test stops here")


@pytest.fixture(scope="session")
def train_here() -> Callable[..., zoo.Run]:
    """Train in this process: ``train_here(name, out, "key=value", ...)`` returns the run.

    ``stop_after`` stops the training after so many steps; ``resume`` continues it.
    """

    def train(
        name: str,
        out: Path,
        *settings: str,
        data: object = "",
        seed: int = 1,
        resume: bool = False,
        stop_after: int = 0,
        callbacks: Sequence[Callback | str] = (),
        **arguments: Any,
    ) -> zoo.Run:
        pairs = {key: value for key, _, value in (text.partition("=") for text in settings)}
        followers = [*callbacks, *([StopAfter(stop_after)] if stop_after else [])]
        common = {"device": "cpu", "threads": 1, "progress": False, **arguments}
        if resume:
            objects = [callback for callback in followers if isinstance(callback, Callback)]
            return zoo.resume(out, callbacks=objects, **common)
        return zoo.train(
            name, str(data), out=out, settings=pairs, seed=seed, callbacks=followers, **common
        )

    return train
