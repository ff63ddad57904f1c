"""``zoo verify`` compares published weights with their recipe."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import Run

from zoo.files import digest

RECIPE = """
[recipes.mine]
summary = "A published recipe"
task = "sentiment"
model = "lstm"
metrics = {{ split = "test", examples = {examples}, accuracy = {accuracy} }}
weights = {{ file = "mine.safetensors", sha256 = "{sha256}", bytes = {bytes} }}
"""


@pytest.fixture
def published(sentiment_run: Path, tmp_path: Path, zoo_here: Run) -> dict[str, object]:
    """A recipe file with one published recipe beside its weights, with the score that it has."""
    weights = tmp_path / "mine.safetensors"
    shutil.copy(sentiment_run / "weights.safetensors", weights)
    done = zoo_here("evaluate", weights, "--data", "sample", "--json", "--threads", 1)
    measured = json.loads(done.stdout)
    return {
        "examples": measured["examples"],
        "accuracy": round(measured["accuracy"], 4),
        "sha256": digest(weights),
        "bytes": weights.stat().st_size,
    }


def registry(tmp_path: Path, recipe: dict[str, object]) -> Path:
    path = tmp_path / "registry.toml"
    path.write_text(RECIPE.format(**recipe), encoding="utf-8")
    return path


def test_weights_that_agree_with_their_recipe(
    published: dict[str, object], tmp_path: Path, zoo_here: Run
) -> None:
    path = registry(tmp_path, published)
    done = zoo_here("--registry", path, "verify", "mine", "--data", "sample", "--threads", 1)
    assert done.returncode == 0, done.stderr
    for what in ("sha256", "digest", "probe", "examples", "accuracy"):
        assert f"\n{what}" in "\n" + done.stdout
    predicted = zoo_here("--registry", path, "predict", "mine", "the plot was dull", "--threads", 1)
    assert predicted.stdout.split("\t")[0] in ("neg", "pos")


def test_another_score_does_not_verify(
    published: dict[str, object], tmp_path: Path, zoo_here: Run
) -> None:
    better = published | {"accuracy": float(str(published["accuracy"])) - 0.01}
    done = zoo_here(
        "--registry",
        registry(tmp_path, better),
        "verify",
        "mine",
        "--data",
        "sample",
        "--threads",
        1,
    )
    assert done.returncode == 5
    assert done.stderr.startswith("error: accuracy does not agree in mine")


def test_other_data_is_reported(
    published: dict[str, object], tmp_path: Path, zoo_here: Run
) -> None:
    path = registry(tmp_path, published)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('split = "test"', f'split = "test", data_sha256 = "{"0" * 64}"'))
    done = zoo_here("--registry", path, "verify", "mine", "--data", "sample", "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert "other bytes" in done.stdout


def test_another_file_does_not_verify(
    published: dict[str, object], tmp_path: Path, zoo_here: Run
) -> None:
    other = published | {"sha256": "0" * 64}
    done = zoo_here("--registry", registry(tmp_path, other), "verify", "mine", "--threads", 1)
    assert done.returncode == 5
    assert "not the published one" in done.stderr


@pytest.mark.parametrize(
    "command",
    [("predict", "mine", "good"), ("inspect", "mine"), ("evaluate", "mine", "--data", "sample"),
     ("export", "mine", "-o", "x")],
    ids=lambda command: command[0],
)  # fmt: skip
@pytest.mark.parametrize("key", ["sha256", "bytes"])
def test_no_command_uses_another_file_than_the_published_one(
    command: tuple[str, ...], key: str, published: dict[str, object], tmp_path: Path, zoo_here: Run
) -> None:
    other = published | {key: "0" * 64 if key == "sha256" else 1}
    done = zoo_here("--registry", registry(tmp_path, other), *command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (5, "")
    assert "not the published one" in done.stderr
    assert not (tmp_path / "x").exists()


def test_the_labels_of_the_sample_depend_on_word_order(sentiment_run: Path, zoo_here: Run) -> None:
    scores = [
        json.loads(zoo_here("evaluate", sentiment_run, "--json", "--threads", 1, *more).stdout)
        for more in ((), ("--shuffle-words",))
    ]
    assert [score["shuffled"] for score in scores] == [False, True]
    assert scores[0]["accuracy"] > 0.9
    assert scores[1]["accuracy"] < 0.65
