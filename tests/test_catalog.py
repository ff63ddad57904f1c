"""registry.toml: what is wrong is told with file, row and key; what ships resolves."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from conftest import Run

from zoo.catalog import Catalog, read
from zoo.config import resolve
from zoo.errors import UsageError
from zoo.registry import Registry

CHECKOUT = Path(__file__).parent.parent
DATA = """
[data.book]
summary = "A book"
url = "https://example.org/book.txt"
sha256 = "ab"
bytes = 12
"""
RUN = """
[runs.book-lstm]
summary = "A run"
task = "char-lm"
model = "lstm"
"""
# What is wrong, the file, and the words of the message after the file's name.
WRONG = {
    "unknown table": (
        "[models.lstm]\n",
        r"unknown key 'models' in FILE: known keys are data, runs",
    ),
    "unknown key of a run": (
        RUN + "colour = 1\n",
        r"unknown key 'colour' in FILE, row runs.book-lstm",
    ),
    "unknown key of data": (DATA + "size = 1\n", r"unknown key 'size' in FILE, row data.book"),
    "a name given twice over": (RUN + "name = 'x'\n", r"unknown key 'name' in FILE, row runs"),
    "missing key of a run": (
        RUN.replace('model = "lstm"\n', ""),
        r"key 'model' is missing in FILE, row runs.book-lstm",
    ),
    "missing key of data": (
        DATA.replace('sha256 = "ab"\n', ""),
        r"key 'sha256' is missing in FILE, row data.book",
    ),
    "number for a text": (
        RUN.replace('"lstm"', "7"),
        r"key 'model' is not a text in FILE, row runs.book-lstm: got 7",
    ),
    "text for a number": (
        DATA.replace("12", "'12'"),
        r"key 'bytes' is not a whole number in FILE, row data.book: got '12'",
    ),
    "truth for a number": (
        DATA.replace("12", "true"),
        r"key 'bytes' is not a whole number in FILE, row data.book: got True",
    ),
    "text for a list": (
        DATA + "contains = 'x'\n",
        r"key 'contains' is not a list of texts in FILE, row data.book",
    ),
    "list of numbers": (
        DATA + "contains = [1]\n",
        r"key 'contains' is not a list of texts in FILE, row data.book",
    ),
    "text for settings": (RUN + "settings = 'x'\n", r"settings is not a table in FILE, row runs"),
    "setting outside a section": (
        RUN + "settings = { hidden_size = 5 }\n",
        r"key 'hidden_size' of settings in FILE, row runs.book-lstm: .*model, task, training",
    ),
    "unknown section": (
        RUN + "settings.optimiser = { rate = 5 }\n",
        r"key 'optimiser' of settings in FILE, row runs.book-lstm",
    ),
    "list for a setting": (
        RUN + "settings.model = { hidden_size = [5] }\n",
        r"setting model.hidden_size is not a plain value in FILE, row runs.book-lstm",
    ),
    "text for metrics": (RUN + "metrics = 'x'\n", r"metrics is not a table in FILE, row runs"),
    "table for a metric": (
        RUN + "metrics.loss = { low = 1 }\n",
        r"key 'loss' of metrics is not a plain value in FILE, row runs.book-lstm",
    ),
    "text for weights": (RUN + "weights = 'x'\n", r"weights is not a table in FILE, row runs"),
    "half of weights": (
        RUN + "weights = { file = 'x', bytes = 1 }\n",
        r"key 'sha256' is missing in FILE, row runs.book-lstm, weights",
    ),
    "unknown data": (
        DATA + RUN + "data = 'bok'\n",
        r"data 'bok' is not a row of the data table in FILE, row runs.book-lstm",
    ),
    "rows that are no tables": ("runs.book = 1\n", r"row runs.book is not a table in FILE"),
    "table that is none": ("runs = 1\n", r"key 'runs' is not a table in FILE"),
    "no TOML": ("[runs.x\n", r"registry is not TOML in FILE: .*line 1"),
    "a row twice": (RUN + RUN, r"registry is not TOML in FILE: .*line"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_registry_is_told_with_file_row_and_key(wrong: str, tmp_path: Path) -> None:
    text, said = WRONG[wrong]
    file = tmp_path / "registry.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said.replace("FILE", re.escape(str(file)))) as failed:
        read(file)
    assert failed.value.exit_code == 2
    assert len(str(failed.value).splitlines()) == 1


def test_a_registry_that_is_not_there_or_not_utf8_is_told_by_name(tmp_path: Path) -> None:
    file = tmp_path / "registry.toml"
    with pytest.raises(UsageError, match=rf"cannot read the registry in {re.escape(str(file))}"):
        read(file)
    file.write_bytes(b"# caf\xe9\n")
    with pytest.raises(UsageError, match=rf"registry is not TOML in {re.escape(str(file))}"):
        read(file)


def test_a_right_registry_is_read_as_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "registry.toml"
    settings = "settings.model = { hidden_size = 5 }\nsettings.training = { clip_norm = 0.5 }\n"
    file.write_text(
        DATA + "contains = ['THE BOOK']\n" + RUN + "data = 'book'\nmetrics.loss = 1.5\n" + settings
    )
    catalog = read(file)
    row = catalog.runs["book-lstm"]
    assert (row.task, row.model, row.data) == ("char-lm", "lstm", "book")
    assert row.settings == {"model.hidden_size": 5, "training.clip_norm": 0.5}
    assert row.metrics == {"loss": 1.5}
    book = catalog.data["book"]
    assert (book.bytes, book.contains) == (12, ("THE BOOK",))
    assert catalog.weights_path(row) is None


def test_published_weights_lie_beside_their_registry(tmp_path: Path) -> None:
    file = tmp_path / "registry.toml"
    file.write_text(RUN + "weights = { file = 'w/x.safetensors', sha256 = 'ab', bytes = 1 }\n")
    catalog = read(file)
    assert catalog.weights_path(catalog.runs["book-lstm"]) == tmp_path / "w" / "x.safetensors"


def test_the_registry_named_in_the_environment_or_by_option_is_the_one_that_is_read(
    tmp_path: Path, zoo_here: Run, zoo_command: Run
) -> None:
    file = tmp_path / "registry.toml"
    file.write_text(RUN)
    for done in (
        zoo_here("--registry", file, "list", "--runs"),
        zoo_command("list", "--runs", env={"ZOO_REGISTRY": str(file)}),
    ):
        assert done.stdout == "runs\n  book-lstm  A run\n", done.stderr


def test_the_shipped_registry_is_the_checkout_s_and_has_rows(catalog: Catalog) -> None:
    assert catalog.path == CHECKOUT / "registry.toml"
    assert catalog.runs
    assert catalog.data


def test_every_shipped_row_resolves_against_the_installed_plugins(
    catalog: Catalog, registry: Registry
) -> None:
    for name, row in catalog.runs.items():
        configuration = resolve(name, registry, catalog)
        settings = configuration.to_json()["settings"]
        for key, value in row.settings.items():
            section, _, option = key.partition(".")
            assert settings[section][option] == value
        assert (configuration.task.name, configuration.model.name) == (row.task, row.model)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)
        assert row.summary


def test_every_shipped_data_row_can_be_downloaded_and_checked(catalog: Catalog) -> None:
    for row in catalog.data.values():
        assert row.url.startswith("https://")
        assert re.fullmatch(r"[0-9a-f]{64}", row.sha256)
        assert row.bytes > 0


def test_every_shipped_weights_file_is_the_one_that_its_row_describes(catalog: Catalog) -> None:
    for row in catalog.runs.values():
        if row.weights:
            content = (catalog.weights_path(row) or Path()).read_bytes()
            assert hashlib.sha256(content).hexdigest() == row.weights.sha256
            assert len(content) == row.weights.bytes
