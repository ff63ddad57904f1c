"""``zoo new``: packages that are built, installed and tested as a stranger would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run
from test_plugin_package import environment, pip


@pytest.mark.parametrize("kind", ["model", "task", "plugin"])
def test_the_tests_of_a_new_package_pass_unchanged_where_it_is_installed(
    kind: str, tmp_path: Path, zoo_command: Run
) -> None:
    done = zoo_command("new", kind, f"my-{kind}", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    package = tmp_path / f"zoo-my-{kind}"
    assert [str(path) for path in sorted(package.rglob("*")) if path.is_file()] == sorted(
        done.stdout.splitlines()
    )
    ignored = (package / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"runs/", "*.safetensors"} <= {*ignored}  # What a training and an export leave.
    for tool in (["check"], ["format", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *tool, package], check=True)
    pip("wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", tmp_path, package)
    (wheel,) = tmp_path.glob("*.whl")
    there = environment(tmp_path / "venv")
    python = there("-c", "import sys; print(sys.executable)").stdout.strip()
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    tested = there("-m", "pytest", "-q", "-p", "no:cacheprovider", package / "tests")
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("name", ["", "My", "a/b", "../x", "1st", "a--b", "x" * 60])
def test_a_name_that_cannot_be_one_is_refused(name: str, tmp_path: Path, zoo_command: Run) -> None:
    done = zoo_command("new", "model", name, "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path: Path, zoo_command: Run) -> None:
    (tmp_path / "zoo-mine").mkdir()
    done = zoo_command("new", "model", "mine", "--out", tmp_path)
    assert done.returncode == 2
    assert list((tmp_path / "zoo-mine").iterdir()) == []
