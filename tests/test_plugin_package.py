"""A third-party package: built, installed into a fresh environment, used there, and missing."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from conftest import Run

INSTALLED_HERE = any(point.name == "mgu" for point in importlib.metadata.entry_points(group="zoo"))
pytestmark = [
    pytest.mark.usefixtures("every_plugin"),
    pytest.mark.skipif(INSTALLED_HERE, reason="zoo-mgu is installed in this environment, too"),
]

PACKAGE = Path(__file__).parent.parent / "examples" / "zoo-mgu"
SMALL = ("--set", "hidden_size=8", "--set", "embed_size=8", "--threads", "1")

Here = Callable[..., CompletedProcess[str]]


def pip(*arguments: object) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
    )


def environment(home: Path) -> Here:
    """Return a function that runs Python in a new environment, on top of what is installed here.

    So that torch is not downloaded again.
    """
    venv.create(home, with_pip=False)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"

    def run(*arguments: object) -> CompletedProcess[str]:
        return subprocess.run(
            [python, *map(str, arguments)], cwd=home, capture_output=True, text=True, check=False
        )

    own = Path(run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
    installed = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (own / "installed.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in installed)
    )
    return run


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Here:
    """Run ``python ARGUMENTS`` where the built package is installed."""
    folder = tmp_path_factory.mktemp("stranger")
    pip("wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, PACKAGE)
    (wheel,) = folder.glob("*.whl")
    run = environment(folder / "venv")
    python = run("-c", "import sys; print(sys.executable)").stdout.strip()
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    return run


@pytest.fixture(scope="module")
def exported(
    there: Here, text_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A weights file of each task."""
    folder = tmp_path_factory.mktemp("mgu")
    files = {}
    for task, how in (
        ("sentiment", ("--epochs", "1", "--set", "batch_size=128")),
        ("char-lm", ("--steps", "30", "--data", text_file)),
    ):
        run, files[task] = folder / task, folder / f"{task}.safetensors"
        for command in (
            ("train", f"{task}/mgu", *how, "--set", "learning_rate=0.02", *SMALL, "--out", run),
            ("export", run, "-o", files[task]),
        ):
            done = there("-m", "zoo", *command)
            assert done.returncode == 0, done.stderr
    return files


def test_the_installed_package_is_listed_like_any_other(there: Here) -> None:
    listed = json.loads(there("-m", "zoo", "plugins", "--json").stdout)
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    assert [plugin for plugin in listed if plugin["distribution"] == "zoo-mgu"] == [
        {
            "name": "mgu",
            "distribution": "zoo-mgu",
            "version": project["version"],
            "provides": {"model": ["mgu"]},
            "error": "",
        }
    ]


def test_the_package_comes_from_its_wheel_and_not_from_the_checkout(there: Here) -> None:
    home, file = there(
        "-c", "import sys, zoo_mgu; print(sys.prefix, zoo_mgu.__file__)"
    ).stdout.split()
    assert Path(file).is_relative_to(home)


def test_its_weights_files_are_inspected_without_the_package(
    exported: dict[str, Path], zoo_here: Run
) -> None:
    headers = {
        task: json.loads(zoo_here("inspect", file, "--json").stdout)
        for task, file in exported.items()
    }
    for task, header in headers.items():
        assert header["run"]["name"] == f"{task}/mgu"
        assert header["run"]["model"] == {
            "name": "mgu",
            "options": {"hidden_size": 8},
            "distribution": "zoo-mgu",
            "version": "0.2.0",
        }
        assert header["tensors"]["rnn.u_f.weight"]["shape"] == [8, 8]


def test_its_weights_load_and_predict_in_another_process(
    there: Here, exported: dict[str, Path]
) -> None:
    program = (
        "import json, sys, zoo\n"
        "reviews, book = map(zoo.load, sys.argv[1:])\n"
        "(answer,) = reviews.predict(['the plot was dull but the acting was superb'])\n"
        "print(answer.label in ('neg', 'pos'), reviews.module.training)\n"
        "print(json.dumps(book.generate('The ', 20, seed=1)))\n"
    )
    done = there("-c", program, exported["sentiment"], exported["char-lm"])
    assert done.returncode == 0, done.stderr
    predicted, text = done.stdout.splitlines()
    assert predicted == "True False"
    assert json.loads(text).startswith("The ")
    assert len(json.loads(text)) == len("The ") + 20


def test_without_the_package_its_weights_say_which_distribution_is_missing(
    tmp_path: Path, exported: dict[str, Path]
) -> None:
    elsewhere = environment(tmp_path / "venv")
    for command in (
        ("predict", exported["sentiment"], "text"),
        ("generate", exported["char-lm"]),
    ):
        done = elsewhere("-m", "zoo", *command)
        assert (done.returncode, done.stdout) == (3, ""), done.stderr
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: model 'mgu' is not installed in ")
        assert "it comes from zoo-mgu 0.2.0" in line
        assert line.endswith("pip install zoo-mgu")
    assert elsewhere("-m", "zoo", "train", "sentiment/mgu").returncode == 2


def test_the_package_is_as_small_as_the_documentation_says() -> None:
    code = (PACKAGE / "pyproject.toml", *(PACKAGE / "zoo_mgu").glob("*.py"))
    lines = {
        path: [
            line
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.strip() and not line.strip().startswith(('"""', "#", "[", "import", "from"))
        ]
        for path in code
    }
    assert len(lines.pop(PACKAGE / "pyproject.toml")) == 6
    assert sum(map(len, lines.values())) <= 35
