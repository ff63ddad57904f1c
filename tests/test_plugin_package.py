"""A stranger's package: built, pip-installed into a fresh environment, trained, loaded, missed."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Run

from zoo.building import make_model
from zoo.data.ragged import Ragged
from zoo.records import ModelInfo

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
    """Make a fresh environment that sees what this one has installed; return how to run in it.

    Downloading torch again would show nothing more.
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
    """What mgu learned of both tasks."""
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
            "models": ["mgu"],
            "tasks": [],
            "error": "",
        }
    ]


def test_the_package_comes_from_its_wheel_and_not_from_the_checkout(there: Here) -> None:
    home, file = there(
        "-c", "import sys, zoo_mgu; print(sys.prefix, zoo_mgu.__file__)"
    ).stdout.split()
    assert Path(file).is_relative_to(home)


def test_it_learns_both_tasks(exported: dict[str, Path], zoo_here: Run) -> None:
    # To read what a file says of itself the package is not needed.
    headers = {
        task: json.loads(zoo_here("inspect", file, "--json").stdout)
        for task, file in exported.items()
    }
    for header in headers.values():
        assert header["model"]["name"] == "mgu"
        assert header["model"]["distribution"] == "zoo-mgu"
        assert header["tensors"]["rnn.u_f.weight"]["shape"] == [8, 8]
    reviews = headers["sentiment"]["metrics"]["validation"]
    assert reviews["accuracy_low"] > reviews["baseline"]
    characters = len(headers["char-lm"]["assets"]["vocabulary"])
    assert headers["char-lm"]["metrics"]["validation"]["loss"] < math.log(characters)


def test_its_weights_load_and_answer_in_a_fresh_process(
    there: Here, exported: dict[str, Path]
) -> None:
    program = (
        "import json, sys, zoo\n"
        "reviews, book = map(zoo.load, sys.argv[1:])\n"
        "(answer,) = reviews.predict(['the plot was dull but the acting was superb'])\n"
        "print(answer.label in ('neg', 'pos'), reviews.network.training)\n"
        "print(json.dumps(book.generate('The ', 20, seed=1)))\n"
    )
    done = there("-c", program, exported["sentiment"], exported["char-lm"])
    assert done.returncode == 0, done.stderr
    answered, text = done.stdout.splitlines()
    assert answered == "True False"
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
        assert "it comes from zoo-mgu 0.1.0" in line
        assert line.endswith("pip install zoo-mgu")
    assert elsewhere("-m", "zoo", "train", "sentiment/mgu").returncode == 2


# The model itself


def sigmoid(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return 1 / (1 + np.exp(-x))


def by_the_equations(
    model: torch.nn.Module, x: np.ndarray[Any, Any], h: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Run a row (T, I) from a state (H,): Zhou et al., arXiv:1603.09420, equations 4 to 6."""
    size = len(h)
    weight = {name: value.detach().numpy() for name, value in model.named_parameters()}
    w_f, w_h = weight["w.weight"][:size], weight["w.weight"][size:]
    b_f, b_h = weight["w.bias"][:size], weight["w.bias"][size:]
    u_f, u_h = weight["u_f.weight"], weight["u_h.weight"]
    states = []
    for step in x:
        f = sigmoid(w_f @ step + u_f @ h + b_f)
        candidate = np.tanh(w_h @ step + u_h @ (f * h) + b_h)
        h = (1 - f) * h + f * candidate
        states.append(h)
    return np.array(states)


@pytest.fixture
def mgu(monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    monkeypatch.syspath_prepend(PACKAGE)
    from zoo_mgu.model import MGU

    torch.manual_seed(3)
    return MGU(5, hidden_size=7).double()


def test_the_model_computes_the_published_equations_on_padded_rows(mgu: torch.nn.Module) -> None:
    generator = np.random.default_rng(4)
    rows = [generator.normal(size=(steps, 5)) for steps in (9, 1, 6)]
    start = generator.normal(size=(3, 7))
    batch = Ragged.of(rows, [0, 0, 0]).batch(np.arange(3))
    # Anything may stand at padding.
    padded = batch.inputs.clone()
    padded[torch.arange(padded.shape[1]) >= batch.lengths[:, None]] = 1e6
    with torch.no_grad():
        outputs, (end,) = mgu(padded, batch.lengths, (torch.from_numpy(start)[None],))
    assert outputs.shape[2] == mgu.output_size == 7
    for number, row in enumerate(rows):
        states = by_the_equations(mgu, row, start[number])
        found = outputs[number].numpy()
        np.testing.assert_allclose(found[: len(row)], states, atol=1e-12)
        assert (found[len(row) :] == 0).all()
        np.testing.assert_allclose(end[0, number].numpy(), states[-1], atol=1e-12)


def test_the_model_starts_from_zeros_and_its_state_goes_on(mgu: torch.nn.Module) -> None:
    x = np.random.default_rng(5).normal(size=(1, 8, 5))
    whole = by_the_equations(mgu, x[0], np.zeros(7))
    with torch.no_grad():
        first, state = mgu(torch.from_numpy(x[:, :3]), torch.tensor([3]))
        rest, _ = mgu(torch.from_numpy(x[:, 3:]), torch.tensor([5]), state)
    np.testing.assert_allclose(torch.cat((first, rest), 1)[0].numpy(), whole, atol=1e-12)


def test_a_model_of_vectors_is_given_those_that_indices_stand_for(
    mgu: torch.nn.Module,
) -> None:
    """So that a task with one-hot inputs takes every model, also one that announces no one_hot."""
    info = ModelInfo("mgu", "", "zoo_mgu.model:MGU", causal=True)
    model = make_model(info, 5, {"hidden_size": 7}).double()
    model.load_state_dict(mgu.state_dict())
    indices, lengths = torch.tensor([[4, 0, 2], [1, 3, 0]]), torch.tensor([3, 2])
    with torch.no_grad():
        outputs, (end,) = model(indices, lengths)
        expected, (expected_end,) = mgu(torch.eye(5).double()[indices], lengths)
    assert torch.equal(outputs, expected)
    assert torch.equal(end, expected_end)


def test_the_package_is_as_small_as_the_documentation_says() -> None:
    lines = {
        path: [
            line
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.strip() and not line.strip().startswith(('"""', "#", "[", "import", "from"))
        ]
        for path in (PACKAGE / "pyproject.toml", *PACKAGE.rglob("*.py"))
    }
    assert len(lines.pop(PACKAGE / "pyproject.toml")) == 6
    assert sum(map(len, lines.values())) <= 35
