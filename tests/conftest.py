"""What tests share: a private cache, the command line in a process of its own, two trained runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.catalog import Catalog, read
from zoo.registry import Registry

Run = Callable[..., subprocess.CompletedProcess[str]]
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
def sentiment_run(tmp_path_factory: pytest.TempPathFactory, zoo_command: Run) -> Path:
    """A run directory of sentiment/lstm, trained on the sample for an epoch."""
    out = tmp_path_factory.mktemp("runs") / "sentiment"
    done = zoo_command(
        "train", "sample-lstm", "--epochs", 1, "--set", "hidden_size=16", "--out", out
    )
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
        "--set", "hidden_size=32", "--set", "embed_size=16",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out
