"""The packages in examples/, installed by pip: their own tests, and what they do in commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Run
from safetensors.torch import load_file

import zoo
from zoo import installed
from zoo.building import build_network, build_task
from zoo.errors import UsageError
from zoo.interfaces import Batch
from zoo.settings import resolve

pytestmark = pytest.mark.usefixtures("every_plugin")

EXAMPLES = Path(__file__).parent.parent / "examples"
PACKAGES = sorted(path.name for path in EXAMPLES.iterdir() if path.name.startswith("zoo-"))

Train = Callable[..., zoo.Run]

# A name to train and settings that make it quick.
TRAININGS: dict[str, tuple[str, ...]] = {
    "tagging/awd-lstm": ("steps=20", "model.hidden_size=16"),
    "ner/bilstm": ("steps=20", "model.hidden_size=16"),
    "tagging/bilstm": ("steps=20", "model.hidden_size=16"),
    "dates/lstm": ("steps=20", "model.hidden_size=16"),
    "waves/lstm": ("steps=20", "model.hidden_size=16"),
    "forecast/gru": (
        "steps=400", "model.hidden_size=32", "learning_rate=1e-2", "schedule=one-cycle",
        "clip_norm=1", "head_sizes=64,32",
    ),
    "seq2seq/bigru": (
        "steps=200", "model.hidden_size=32", "learning_rate=5e-3", "decoder=mgu",
        "decoder.hidden_size=24",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Install the packages where this process and others, under the environment, find them."""
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-index", "--no-deps", "--no-build-isolation", "--target", folder),
            *(EXAMPLES / name for name in PACKAGES),
        ],
        check=True,
    )
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        installed.forget()
        yield {"PYTHONPATH": os.pathsep.join(paths)}
    installed.forget()


@pytest.fixture(scope="module")
def runs(
    environment: dict[str, str], train_here: Train, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, zoo.Run]:
    """A short run of each task."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: train_here(name, folder / name.replace("/", "-"), *settings)
        for name, settings in TRAININGS.items()
    }


def test_the_tests_of_the_packages_pass(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
            *(EXAMPLES / name / "tests" for name in PACKAGES),
        ],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_package_has_types_and_asks_for_this_version(environment: dict[str, str]) -> None:
    folder = Path(environment["PYTHONPATH"].split(os.pathsep)[0])
    for name in PACKAGES:
        assert (folder / name.replace("-", "_") / "py.typed").is_file()
        (metadata,) = folder.glob(f"{name.replace('-', '_')}-*.dist-info/METADATA")
        assert "Requires-Dist: seqzoo<0.6,>=0.5" in metadata.read_text(encoding="utf-8")


def test_another_process_loads_and_verifies_the_exports(
    runs: dict[str, zoo.Run], environment: dict[str, str], tmp_path: Path
) -> None:
    files = []
    for name, run in runs.items():
        files.append(tmp_path / f"{name.replace('/', '-')}.safetensors")
        run.model.save(files[-1])
    program = "import sys, zoo\nfor file in sys.argv[1:]: print(zoo.load(file).verify())"
    done = subprocess.run(
        [sys.executable, "-c", program, *files],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(float(line) < 1e-5 for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == len(files)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    name: str, environment: dict[str, str], train_here: Train, tmp_path: Path
) -> None:
    settings = ("steps=12", "evaluate_every=5", "model.hidden_size=8", "batch_size=16")
    data = ""
    if name.startswith("seq2seq"):
        (tmp_path / "pairs.tsv").write_text("".join(f"{n}\t{n * 'x '}\n" for n in range(1, 99)))
        data = str(tmp_path / "pairs.tsv")
    train_here(name, tmp_path / "whole", *settings, data=data)
    train_here(name, tmp_path / "stopped", *settings, data=data, stop_after=7)
    checkpoints = [tmp_path / run / "checkpoint.safetensors" for run in ("whole", "stopped")]
    stopped = load_file(checkpoints[1])
    train_here(name, tmp_path / "stopped", resume=True)

    expected, found = (load_file(path) for path in checkpoints)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert not torch.equal(expected["network.fc.weight"], stopped["network.fc.weight"])


@pytest.mark.parametrize(
    "name", ["tagging/bilstm", "tagging/awd-lstm", "dates/lstm", "dates/mgu", "waves/gru",
             "waves/bilstm", "seq2seq/bilstm", "seq2seq/rnn", "ner/bilstm"]
)  # fmt: skip
def test_a_row_does_not_depend_on_the_rows_beside_it(
    name: str, environment: dict[str, str]
) -> None:
    spec = resolve(name, installed.registry())
    task = build_task(spec.network.task)
    everything: Any = task.prepare(None, seed=1).splits["all"]
    torch.manual_seed(1)
    network = build_network(task, spec.network).eval()
    lengths = getattr(everything, "lengths", None)
    if lengths is None:
        lengths = everything.sources.lengths
    rows = np.array([lengths.argmin(), lengths.argmax(), 5])
    with torch.inference_mode():
        together = task.probe_outputs(network, everything.batch(rows))
        for place, row in enumerate(rows):
            batch = everything.batch(np.array([row]))
            alone = task.probe_outputs(network, batch)
            steps = _output_steps(name, batch)
            torch.testing.assert_close(together[place, :steps], alone[0, :steps])


def _output_steps(name: str, batch: Batch) -> int:
    if name.startswith("dates"):
        return 10
    lengths: torch.Tensor = getattr(batch, "target_lengths", batch.lengths)
    return int(lengths)


# Sequence to sequence


def test_seq2seq_learns_and_its_file_has_the_decoder(
    runs: dict[str, zoo.Run], zoo_here: Run
) -> None:
    run = runs["seq2seq/bigru"]
    scores = run.metrics["validation"]
    assert scores["loss"] < 0.7 * scores["baseline_loss"]
    decoder = run.config["submodels"]["decoder"]
    assert decoder == {
        "name": "mgu",
        "options": {"hidden_size": 24},
        "distribution": "zoo-mgu",
        "version": "0.2.0",
    }
    module: Any = run.model.module
    assert module.decoder.output_size == 24
    done = zoo_here("predict", run.path, "--json", "1204", "20", "999999999")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == ["1204", "20", "999999999"]
    assert len({len(answer["output"].split()) for answer in answers}) > 1
    assert all(0 < answer["probability"] <= 1 for answer in answers)


def test_seq2seq_needs_a_causal_decoder(
    environment: dict[str, str], train_here: Train, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="'bigru' cannot be used as decoder"):
        train_here("seq2seq/lstm", tmp_path / "run", "decoder=bigru")


def test_the_recipe_of_a_package_is_listed(environment: dict[str, str]) -> None:
    assert "numbers-bilstm" in zoo.list_recipes()
    spec = resolve("numbers-bilstm", installed.registry())
    assert spec.network.submodels["decoder"].info.name == "gru"


# Forecasting


def test_forecasts_are_better_than_the_seasonal_naive_ones(
    runs: dict[str, zoo.Run], zoo_here: Run
) -> None:
    run = runs["forecast/gru"]
    metrics = run.model.evaluate()
    assert metrics["rmse_high"] < metrics["baseline"]
    assert run.config["task"]["options"]["head_sizes"] == [64, 32]
    assert run.config["task"]["options"]["clip"] is None
    done = zoo_here("predict", run.path, "--json", " ".join(map(str, range(48))))
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["values"]) == 12


def test_list_valued_and_optional_settings(
    environment: dict[str, str], train_here: Train, tmp_path: Path
) -> None:
    settings = ("steps=2", "head_sizes=", "clip=3", "season=none", "history=10", "horizon=3")
    run = train_here("forecast/gru", tmp_path / "run", *settings)
    options: Any = run.model.spec.task.options
    assert (options.head_sizes, options.clip, options.season) == ((), 3.0, None)
    with pytest.raises(UsageError, match="head_sizes: 0 is less than 1"):
        train_here("forecast/gru", tmp_path / "other", "head_sizes=8,0")
    with pytest.raises(UsageError, match="season is 24, and history"):
        train_here("forecast/gru", tmp_path / "other", "history=12")
