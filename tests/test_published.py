"""Published weights: as their recipes describe them, small, and usable offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import REAL_DATA, Run

import zoo
from zoo import recipes
from zoo.files import digest
from zoo.options import to_json
from zoo.records import Recipe, WeightsInfo
from zoo.registry import Registry
from zoo.settings import resolve
from zoo.spec import RunSpec
from zoo.weights.file import read

ENCODERS = ("reviews-char-lm", "reviews-lm")
PUBLISHED = ("imdb-bilstm", "imdb-bilstm-book", "island-lstm", "island-lstm-book", *ENCODERS)
DATA = {"imdb": REAL_DATA / "aclImdb_labelled.tar.gz", "island": REAL_DATA / "1268-0.txt"}


def published(registry: Registry, name: str) -> tuple[Path, WeightsInfo]:
    recipe = registry.get(Recipe, name)
    assert recipe.weights is not None
    path = recipe.weights_path
    assert path is not None
    return path, recipe.weights


def test_published_weights_take_27_megabytes(registry: Registry) -> None:
    own = recipes.read(recipes.shipped_path()).recipes.values()
    assert {recipe.name for recipe in own if recipe.weights} == set(PUBLISHED)
    sizes = {name: published(registry, name)[0].stat().st_size for name in PUBLISHED}
    assert all(sizes[name] <= 12_000_000 for name in ENCODERS)
    assert sum(sizes.values()) <= 27_000_000


def without_sources(spec: RunSpec) -> dict[str, Any]:
    """Return the network of a run, without what says where in the data its texts are."""
    network = spec.network.to_json()
    for option in ("text_column", "label_column", "more_data"):
        network["task"]["options"].pop(option, None)
    return network


@pytest.mark.parametrize("name", PUBLISHED)
def test_file_recipe_and_probe_agree(name: str, registry: Registry) -> None:
    path, info = published(registry, name)
    assert (path.stat().st_size, digest(path)) == (info.bytes, info.sha256)
    weights = read(path)
    run = weights.header["run"]
    assert run["name"] == name
    assert weights.header["data"]["sha256"] == registry.get(Recipe, name).metrics["data_sha256"]
    assert weights.header["dtype"] == "float16"
    assert zoo.load(name).verify() < 1e-2
    # It was trained with the settings that the recipe has today.
    trained, today = RunSpec.from_json(run, registry), resolve(name, registry)
    assert to_json(trained.training) == to_json(today.training)
    for part in ("optimizer", "scheduler"):
        assert getattr(trained, part) == getattr(today, part)
    assert without_sources(trained) == without_sources(today)
    assert trained.seed == today.seed


def test_every_published_score_has_split_examples_and_interval(registry: Registry) -> None:
    for recipe in registry.all(Recipe):
        if recipe.metrics:
            main = "accuracy" if recipe.task == "sentiment" else "loss"
            wanted = {"split", "examples", "data_sha256", main, f"{main}_low", f"{main}_high"}
            assert wanted <= set(recipe.metrics), recipe.name
            low, value, high = (
                float(recipe.metrics[f"{main}{end}"]) for end in ("_low", "", "_high")
            )
            assert low < value < high, recipe.name


def test_predicting_and_generating_work_offline(zoo_command: Run) -> None:
    offline = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    done = zoo_command(
        "predict", "imdb-bilstm", "A wonderful film.", "A boring waste of time.", env=offline
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["pos", "neg"]
    done = zoo_command(
        "generate", "island-lstm", "--prompt", "The island", "--scale", "2.0", "--length", "80",
        env=offline,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The island")
    assert len(done.stdout.strip()) > 60


@pytest.mark.real_data
@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "reviews-char-lm"])
def test_the_published_score_is_measured_again(
    name: str, registry: Registry, zoo_command: Run
) -> None:
    # The text of reviews-char-lm has to be made first, and takes minutes to evaluate.
    data = DATA[registry.get(Recipe, name).data]
    done = zoo_command("verify", name, "--data", data)
    assert done.returncode == 0, done.stderr
    assert "examples agrees" in done.stdout
    assert "_low agrees" in done.stdout
