"""What ships: weights as the registry describes them, small, at work without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import REAL_DATA, Run

from zoo.catalog import Catalog, shipped_path
from zoo.files import digest
from zoo.registry import Registry
from zoo.weights.file import read
from zoo.weights.network import build, verify

PUBLISHED = ("imdb-bilstm", "imdb-bilstm-book", "island-lstm", "island-lstm-book")
DATA = {"imdb": REAL_DATA / "aclImdb_labelled.tar.gz", "island": REAL_DATA / "1268-0.txt"}


def weights_of(catalog: Catalog, name: str) -> Path:
    row = catalog.runs[name].weights
    assert row is not None
    return Path(__file__).parent.parent / "zoo" / row.file


def test_all_of_them_take_12_megabytes(catalog: Catalog) -> None:
    assert {name for name, row in catalog.runs.items() if row.weights} == set(PUBLISHED)
    assert sum(weights_of(catalog, name).stat().st_size for name in PUBLISHED) <= 12_000_000


@pytest.mark.parametrize("name", PUBLISHED)
def test_file_registry_and_probe_agree(name: str, catalog: Catalog, registry: Registry) -> None:
    path, row = weights_of(catalog, name), catalog.runs[name]
    assert row.weights is not None
    assert (path.stat().st_size, digest(path)) == (row.weights.bytes, row.weights.sha256)
    weights = read(path)
    assert weights.header["name"] == name
    assert weights.header["data"]["sha256"] == row.metrics["data_sha256"]
    assert weights.header["storage"] == "float16"
    assert verify(weights, *build(weights, registry)) < 1e-2
    # Trained with the settings that the row has today.
    for key, value in row.settings.items():
        section, _, option = key.partition(".")
        home = weights.header if section == "training" else weights.header[section]["options"]
        assert (home["training"] if section == "training" else home)[option] == value, key


def test_every_published_score_has_split_examples_and_interval(catalog: Catalog) -> None:
    for name, row in catalog.runs.items():
        if row.metrics:
            main = "accuracy" if row.task == "sentiment" else "loss"
            wanted = {"split", "examples", "data_sha256", main, f"{main}_low", f"{main}_high"}
            assert wanted <= set(row.metrics), name
            low, value, high = (float(row.metrics[f"{main}{end}"]) for end in ("_low", "", "_high"))
            assert low < value < high, name


def test_a_sentence_is_answered_and_a_text_written_offline(zoo_command: Run) -> None:
    nowhere = {"https_proxy": "http://127.0.0.1:9", "ZOO_REGISTRY": str(shipped_path())}
    done = zoo_command(
        "predict", "imdb-bilstm", "A wonderful film.", "A boring waste of time.", env=nowhere
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["pos", "neg"]
    done = zoo_command(
        "generate", "island-lstm", "--prompt", "The island", "--scale", "2.0", "--length", "80",
        env=nowhere,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The island")
    assert len(done.stdout.strip()) > 60


@pytest.mark.real_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_score_is_measured_again(
    name: str, catalog: Catalog, zoo_command: Run
) -> None:
    done = zoo_command("verify", name, "--data", DATA[catalog.runs[name].data])
    assert done.returncode == 0, done.stderr
    assert "examples agrees" in done.stdout
    assert "_low agrees" in done.stdout
