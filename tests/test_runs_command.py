"""``zoo runs``: the table of the runs of a folder, against the files that they left."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

from zoo.cli.terminal import display_width
from zoo.errors import UsageError
from zoo_runs import list_runs
from zoo_runs.table import lines

Train = Callable[..., Any]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, train_here: Train) -> Path:
    """Return a folder with three runs: one evaluated on its test part, one not, one stopped."""
    folder = tmp_path_factory.mktemp("trained")
    run = train_here("sample-lstm", folder / "large", "steps=12", "hidden_size=16")
    assert run.test
    train_here("sample-lstm", folder / "sizes" / "small", "steps=12", "hidden_size=8", seed=2)
    train_here("sample-lstm", folder / "stopped", "steps=12", "hidden_size=8", stop_after=5)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "runs"))


def by_path(zoo_here: Run, folder: Path, *options: str) -> dict[str, dict[str, Any]]:
    done = zoo_here("runs", folder, "--json", *options)
    assert done.returncode == 0, done.stderr
    return {Path(each["path"]).name: each for each in json.loads(done.stdout)}


def test_scores_are_those_of_the_test_part_and_else_of_the_validation_part(
    trained: Path, zoo_here: Run
) -> None:
    found = by_path(zoo_here, trained)
    test = json.loads((trained / "large" / "evaluations.json").read_text())["test"]
    large, small = found["large"], found["small"]
    assert (large["split"], large["score"]) == ("test", test["accuracy"])
    assert (large["low"], large["high"]) == (test["accuracy_low"], test["accuracy_high"])
    log = (trained / "sizes" / "small" / "metrics.jsonl").read_text().splitlines()
    assert (small["split"], small["score"]) == ("validation", json.loads(log[-1])["accuracy"])


def test_length_state_and_settings(trained: Path, zoo_here: Run) -> None:
    found = by_path(zoo_here, trained)
    assert {name: each["state"] for name, each in found.items()} == {
        "large": "complete", "small": "complete", "stopped": "interrupted",
    }  # fmt: skip
    assert [found[name]["step"] for name in ("large", "stopped")] == [12, 5]
    assert found["large"]["seconds"] > 0
    config = json.loads((trained / "large" / "config.json").read_text())
    settings = found["large"]["settings"]
    assert settings["model.hidden_size"] == config["model"]["options"]["hidden_size"] == 16
    assert settings["seed"] == 1


def test_a_score_of_earlier_weights_is_not_shown(folder: Path, zoo_here: Run) -> None:
    file = folder / "large" / "evaluations.json"
    stored = json.loads(file.read_text())
    stored["test"]["weights_sha256"] = "0" * 64
    file.write_text(json.dumps(stored))
    assert by_path(zoo_here, folder)["large"]["split"] == "validation"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b'{"format": 2, "name"'),
        ("config.json", b'{"format": 2, "name": "x"}'),
        ("config.json", b'{"format": 99, "requires": "9.0"}'),
        ("weights.safetensors", b"not a file of tensors"),
        ("metrics.jsonl", b"[1\n"),
        ("evaluations.json", b'{"test": 1}'),
    ],
)
def test_a_damaged_run_is_listed_with_the_reason(
    file: str, content: bytes, folder: Path, zoo_here: Run
) -> None:
    (folder / "large" / file).write_bytes(content)
    found = by_path(zoo_here, folder)
    assert found["large"]["state"] == "damaged"
    assert file in found["large"]["error"]
    assert found["small"]["state"] == "complete"
    done = zoo_here("runs", folder)
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("damaged: large: ")]
    assert file in line


def test_what_is_no_run_is_skipped(folder: Path, zoo_here: Run) -> None:
    other = folder / "bert"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "bert"}')
    (folder / "notes.txt").write_text("none")
    nested = folder / "large" / "copy"
    shutil.copytree(folder / "stopped", nested)  # What is in a run is its own.
    assert by_path(zoo_here, folder).keys() == {"large", "small", "stopped"}
    assert by_path(zoo_here, folder / "large").keys() == {"large"}


@pytest.mark.parametrize(
    ("sort", "first"), [("-score", "large"), ("step", "stopped"), ("-path", "stopped")]
)
def test_sorting(sort: str, first: str, trained: Path) -> None:
    found = list_runs(trained, sort=sort)
    values = [getattr(run, sort.removeprefix("-")) for run in found]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=sort.startswith("-"))
    assert None not in values[: len(known)]
    if sort != "-score":
        assert found[0].path.name == first


def test_sorting_by_a_metric_shows_it(trained: Path, zoo_here: Run) -> None:
    done = zoo_here("runs", trained, "--sort", "loss")
    assert done.stdout.split("\n")[0].split()[:2] == ["path", "loss"]
    rows = [line.split() for line in done.stdout.splitlines()[1:4]]
    losses = [float(row[1].rstrip("*")) for row in rows if row[1] != "-"]
    assert losses == sorted(losses)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["model.hidden_size=8"], {"small", "stopped"}),
        (["hidden_size=8.0", "seed=2"], {"small"}),
        (["task=sent*"], {"large", "small", "stopped"}),
        (["path=sizes/*"], {"small"}),
        (["state=interrupted"], {"stopped"}),
        (["learning_rate=0.5"], set()),
    ],
)
def test_filters(filters: list[str], names: set[str], trained: Path) -> None:
    assert {run.path.name for run in list_runs(trained, filters=filters)} == names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sort", "acuracy"], "no run has 'acuracy' (did you mean 'accuracy'"),
        (["--filter", "hiden_size=8"], "no run has 'hiden_size'"),
        (["--filter", "hidden_size"], "is not KEY=VALUE"),
        (["--json", "--csv"], "both given"),
    ],
)
def test_what_no_run_has_is_a_usage_error(
    arguments: list[str], said: str, trained: Path, zoo_here: Run
) -> None:
    done = zoo_here("runs", trained, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_folder_that_is_missing_or_empty(tmp_path: Path, zoo_here: Run) -> None:
    assert zoo_here("runs", tmp_path / "none").returncode == 2
    done = zoo_here("runs", tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "no runs" in done.stderr
    with pytest.raises(UsageError):
        list_runs(tmp_path / "none")


def test_csv_has_a_column_for_each_setting_that_differs(trained: Path, zoo_here: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(zoo_here("runs", trained, "--csv").stdout)))
    assert [row["model.hidden_size"] for row in rows] == ["16", "8", "8"]
    assert [row["seed"] for row in rows] == ["1", "2", "1"]
    assert "model.num_layers" not in rows[0]
    assert float(rows[0]["score"]) == list_runs(trained)[0].score


def test_the_table_fits_its_width_and_obeys_no_control_characters(folder: Path) -> None:
    (folder / "stopped").rename(folder / ("名" * 60 + "\x1b[31m"))
    for width in (80, 120):
        shown = list(lines(list_runs(folder), folder, width))
        assert all(display_width(line) <= width for line in shown)
        assert not any("\x1b" in line for line in shown)
    assert "hidden_size=16" in "".join(shown)


def test_no_network_is_loaded(trained: Path) -> None:
    code = (
        "import sys; from zoo_runs import list_runs\n"
        f"assert len(list_runs({str(trained)!r})) == 3\n"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
