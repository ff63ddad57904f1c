"""``zoo sweep``: settings and seeds, the choice on validation, several processes, and going on."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from conftest import Run
from sum_task import registered
from torch import nn

import zoo
from zoo.errors import DataError, UsageError, WeightsError
from zoo_runs import list_runs, sweep
from zoo_runs.results import Sweep

SMALL = {"steps": "3", "batch_size": "16", "rows": "32"}


@dataclass(frozen=True)
class StackOptions(zoo.Options):
    sizes: tuple[int, ...] = zoo.option((4,), "units of each layer", minimum=1)


class Stack(nn.Module):
    """A GRU as wide as its last size."""

    def __init__(self, input_size: int, options: StackOptions) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, options.sizes[-1]
        self.gru = zoo.create_model("gru", input_size, hidden_size=options.sizes[-1])

    def forward(self, inputs: Any, lengths: Any, state: Any = None) -> Any:
        return self.gru(inputs, lengths, state)


@pytest.fixture(autouse=True)
def sum_is_registered() -> Iterator[None]:
    stack = zoo.ModelInfo(
        name="stack", summary="Layers", target=Stack, causal=True, options=StackOptions
    )
    with registered(stack):
        yield


def sweep_here(folder: Path, space: Mapping[str, object], **arguments: Any) -> Sweep:
    common = {"settings": SMALL, "seeds": 2, "device": "cpu", "threads": 1, "out": folder}
    return sweep(arguments.pop("name", "sum/gru"), space=space, **{**common, **arguments})


def weights(folder: Path) -> dict[str, int]:
    """Return the time of change of each weights file."""
    files = folder.glob("*/*/weights.safetensors")
    return {str(file): file.stat().st_mtime_ns for file in files}


def test_a_grid_is_every_combination_with_mean_and_spread_over_seeds(tmp_path: Path) -> None:
    space = {"hidden_size": [2, 4], "learning_rate": "1e-3,1e-1"}
    found = sweep_here(tmp_path / "s", space)
    assert found.complete
    assert {tuple(trial.settings.values()) for trial in found.trials} == {
        (size, rate) for size in "24" for rate in ("1e-3", "1e-1")
    }
    for trial in found.trials:
        runs = [zoo.open_run(trial.path / f"seed-{seed}") for seed in (1, 2)]
        assert [run.config["seed"] for run in runs] == [1, 2]
        size = runs[0].config["model"]["options"]["hidden_size"]
        rate = runs[0].config["training"]["learning_rate"]
        assert (str(size), rate) == (
            trial.settings["hidden_size"], float(trial.settings["learning_rate"])
        )  # fmt: skip
        scores = [run.metrics["validation"]["loss"] for run in runs]
        assert trial.validation is not None
        assert trial.validation.values == tuple(scores)
        assert trial.validation.mean == pytest.approx(statistics.mean(scores))
        assert trial.validation.spread == pytest.approx(statistics.stdev(scores))
    assert len(list_runs(tmp_path / "s")) == 8


def test_the_best_is_chosen_on_validation_and_only_it_is_tested(tmp_path: Path) -> None:
    found = sweep_here(tmp_path / "s", {"learning_rate": "1e-4,1e-3,1e-1"})
    means = [trial.validation.mean for trial in found.trials if trial.validation]
    assert means == sorted(means)  # The loss: lower is better.
    assert found.best is not None
    tested = {file.parent for file in (tmp_path / "s").glob("*/*/evaluations.json")}
    assert tested == {found.best.path / "seed-1", found.best.path / "seed-2"}
    losses = [json.loads((run / "evaluations.json").read_text())["test"]["loss"] for run in tested]
    assert found.test["loss"].mean == pytest.approx(statistics.mean(losses))


def test_without_test_no_run_is_tested(tmp_path: Path) -> None:
    found = sweep_here(tmp_path / "s", {"hidden_size": [2, 4]}, test=False)
    assert found.complete
    assert not found.test
    assert not list((tmp_path / "s").glob("*/*/evaluations.json"))


def test_a_later_call_trains_nothing_again(tmp_path: Path) -> None:
    first = sweep_here(tmp_path / "s", {"hidden_size": [2, 4]})
    before = weights(tmp_path / "s")
    seen: list[Any] = []
    again = sweep_here(tmp_path / "s", {"hidden_size": [2, 4]}, on_trial=seen.append)
    assert (again, seen) == (first, [])
    assert weights(tmp_path / "s") == before
    stored = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert stored["best"]["validation"]["mean"] == min(
        trial["validation"]["mean"] for trial in stored["trials"]
    )


def test_sampled_settings_are_in_their_ranges_and_go_on(tmp_path: Path) -> None:
    space = {"learning_rate": "1e-3:1e-1:log", "hidden_size": "2:9", "rows": "16:32:8"}
    settings = {"steps": "2", "batch_size": "16"}
    call = {"settings": settings, "seeds": 1, "test": False}
    sweep_here(tmp_path / "s", space, trials=3, **call)
    before = weights(tmp_path / "s")
    found = sweep_here(tmp_path / "s", space, trials=5, **call)
    assert len(found.trials) == 5
    assert before.items() < weights(tmp_path / "s").items()
    for trial in found.trials:
        assert 1e-3 <= float(trial.settings["learning_rate"]) <= 1e-1
        assert int(trial.settings["hidden_size"]) in range(2, 10)
        assert trial.settings["rows"] in ("16", "24", "32")
    assert len({trial.settings["learning_rate"] for trial in found.trials}) == 5


def test_optuna_reads_the_study(tmp_path: Path) -> None:
    found = sweep_here(tmp_path / "s", {"hidden_size": "2:4"}, trials=2, test=False)
    url = f"sqlite:///{tmp_path / 's' / 'study.db'}"
    (summary,) = optuna.get_all_study_summaries(url)
    study = optuna.load_study(study_name=summary.study_name, storage=url)
    assert found.best is not None
    assert str(study.best_params["hidden_size"]) == found.best.settings["hidden_size"]
    assert found.best.validation is not None
    assert study.best_value == found.best.validation.mean


def test_a_step_gives_a_grid_its_values(tmp_path: Path) -> None:
    found = sweep_here(tmp_path / "s", {"hidden_size": "2:7:2"}, seeds=1, test=False)
    assert {trial.settings["hidden_size"] for trial in found.trials} == {"2", "4", "6"}


def test_more_trials_than_combinations_are_all_of_them(tmp_path: Path) -> None:
    found = sweep_here(tmp_path / "s", {"hidden_size": [2, 4]}, trials=9, seeds=1, test=False)
    assert sorted(trial.settings["hidden_size"] for trial in found.trials) == ["2", "4"]


def test_of_very_many_combinations_some_are_sampled(tmp_path: Path) -> None:
    space = {"learning_rate": "1e-4:1e-2:1e-4", "hidden_size": "1:240:1"}
    with pytest.raises(UsageError, match="24,000 combinations are too many"):
        sweep_here(tmp_path / "all", space)
    found = sweep_here(tmp_path / "some", space, trials=1, seeds=1, test=False)
    assert [trial.state for trial in found.trials] == ["complete"]


def test_a_run_that_is_missing_is_named(tmp_path: Path) -> None:
    space = {"hidden_size": [2, 4]}
    found = sweep_here(tmp_path / "s", space, seeds=1, test=False)
    assert found.best is not None
    shutil.rmtree(found.best.path / "seed-1")
    with pytest.raises(WeightsError, match=re.escape(str(found.best.path / "seed-1"))):
        sweep_here(tmp_path / "s", space, seeds=1, test=False)


def test_few_values_are_sampled_once_each(tmp_path: Path) -> None:
    space = {"hidden_size": [2, 3, 4, 5, 6]}
    found = sweep_here(tmp_path / "s", space, trials=4, seeds=1, test=False)
    assert len({trial.settings["hidden_size"] for trial in found.trials}) == 4


def test_values_that_are_lists_are_separated_by_semicolons(tmp_path: Path) -> None:
    found = sweep_here(tmp_path / "s", {"sizes": "3,2;4"}, name="sum/stack", seeds=1, test=False)
    config = [run.settings["model.sizes"] for run in list_runs(tmp_path / "s")]
    assert config == [[3, 2], [4]]
    assert len(found.trials) == 2


def test_one_list_is_the_same_in_all_runs(tmp_path: Path) -> None:
    space = {"sizes": "3,2", "learning_rate": "1e-3,1e-2"}
    found = sweep_here(tmp_path / "s", space, name="sum/stack", seeds=1, test=False)
    assert [run.settings["model.sizes"] for run in list_runs(tmp_path / "s")] == [[3, 2], [3, 2]]
    assert all(trial.settings.keys() == {"learning_rate"} for trial in found.trials)


@pytest.mark.parametrize(
    ("space", "arguments", "said"),
    [
        ({"hidden_size": "2:4"}, {}, "--trials N"),
        ({"hidden_size": "4:2"}, {"trials": 2}, "not less than"),
        ({"learning_rate": "0:1:log"}, {"trials": 2}, "above 0"),
        ({"hidden_size": "2:4:x"}, {"trials": 2}, "LOW:HIGH:STEP"),
        ({"hidden_size": "2.5:4"}, {"trials": 2}, "an integer"),
        ({"hidden_size": "2,,4"}, {}, "empty"),
        ({"hiden_size": "2,4"}, {}, "did you mean 'hidden_size'"),
        ({"hidden_size": "2,-4"}, {}, "less than 1"),
        ({"steps": "2,3"}, {}, "both"),
        ({"hidden_size": list(range(1, 20_000))}, {}, "too many"),
        ({}, {}, "nothing varies"),
        ({"hidden_size": "2"}, {}, "nothing varies"),
    ],
)
def test_a_wrong_space_is_refused_before_anything_is_trained(
    space: dict[str, object], arguments: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        sweep_here(tmp_path / "s", space, **arguments)
    assert not (tmp_path / "s").exists()


def test_a_folder_has_one_sweep(tmp_path: Path) -> None:
    sweep_here(tmp_path / "s", {"hidden_size": [2, 4]}, seeds=1, test=False)
    with pytest.raises(UsageError, match="another sweep"):
        sweep_here(tmp_path / "s", {"hidden_size": [2, 8]}, seeds=1, test=False)


def test_a_trial_that_diverges_does_not_end_the_sweep(tmp_path: Path) -> None:
    space = {"learning_rate": ["1e30", "1e-3"]}
    settings = {**SMALL, "optimizer": "sgd"}
    found = sweep_here(tmp_path / "s", space, settings=settings)
    assert [trial.state for trial in found.trials] == ["complete", "diverged"]
    assert found.complete
    assert found.best is not None
    assert found.best.settings == {"learning_rate": "1e-3"}


def test_a_missing_optuna_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install 'seqzoo\[sweep\]'"):
        sweep_here(tmp_path / "s", {"hidden_size": [2, 4]})


def test_a_storage_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot use the storage"):
        sweep_here(tmp_path / "s", {"hidden_size": [2, 4]}, storage="nothing://here")


# Sweeps in processes of their own, on the sample.

GRID = ("--set", "learning_rate=1e-3,1e-2", "--set", "hidden_size=8,12", "--no-test")


def start(folder: Path, *options: str, steps: int) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "zoo", "sweep", "sample-lstm", *GRID, "--set", f"steps={steps}",
        "--seeds", "1", "--threads", "1", "--out", str(folder), *options,
    ]  # fmt: skip
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def scores(folder: Path) -> dict[str, list[float]]:
    """Return the validation scores by setting."""
    trials = json.loads((folder / "sweep.json").read_text())["trials"]
    return {str(trial["settings"]): trial["validation"]["values"] for trial in trials}


def wait_for(condition: Callable[[], object]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen in a minute")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """Return the scores of a sweep of one process that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed") / "s"
    process = start(folder, steps=60)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    found = scores(folder)
    assert len(found) == 4
    return found


def test_two_processes_share_a_sweep(
    tmp_path: Path, undisturbed: dict[str, list[float]], zoo_command: Run
) -> None:
    processes = [start(tmp_path / "s", steps=60) for _ in range(2)]
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    finished = [
        {line.split(":")[0] for line in text.splitlines() if line.startswith("trial-")}
        for text in said
    ]
    assert not finished[0] & finished[1]
    assert finished[0] | finished[1] == {f"trial-{number}" for number in range(4)}
    assert all(finished)
    assert scores(tmp_path / "s") == undisturbed


def test_what_a_killed_process_trained_is_trained_by_another(
    tmp_path: Path, undisturbed: dict[str, list[float]]
) -> None:
    folder = tmp_path / "s"
    killed = start(folder, steps=60)
    wait_for(lambda: list(folder.glob("*/*/config.json")))
    other = start(folder, steps=60)
    killed.kill()
    killed.communicate()
    _, errors = other.communicate(timeout=300)
    assert other.returncode == 0, errors
    assert scores(folder) == undisturbed


def test_a_later_call_goes_on_where_every_process_was_killed(
    tmp_path: Path, undisturbed: dict[str, list[float]]
) -> None:
    folder = tmp_path / "s"
    killed = start(folder, steps=60)
    wait_for(lambda: list(folder.glob("trial-1/*/config.json")))
    killed.kill()
    killed.communicate()
    done = folder / "trial-0" / "seed-1" / "weights.safetensors"
    before = done.stat().st_mtime_ns
    again = start(folder, steps=60)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert done.stat().st_mtime_ns == before
    assert scores(folder) == undisturbed
    assert {path.name for path in folder.glob("trial-*")} == {f"trial-{n}" for n in range(4)}


def test_an_interrupted_sweep_stops_after_the_step_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    options = ("--set", "log_every=1", "--seeds", "2")
    process = start(folder, *options, steps=300)
    wait_for(lambda: list(folder.glob("*/*/metrics.jsonl")))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert "the same command goes on" in errors
    (run,) = list_runs(folder)
    assert run.state == "interrupted"
    before = (run.path / "metrics.jsonl").read_bytes()
    again = start(folder, *options, steps=300)
    output, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert (run.path / "metrics.jsonl").read_bytes().startswith(before)
    assert len(list_runs(folder, filters=["state=complete"])) == 8
    assert "best on validation: " in output
    assert all(len(line) <= 80 for line in output.splitlines() if "/" not in line)


def test_data_that_has_changed_is_refused(tmp_path: Path, zoo_here: Run) -> None:
    table = tmp_path / "t.csv"
    rows = [f"{'good' if n % 2 else 'bad'} film {n},{n % 2}" for n in range(60)]
    table.write_text("\n".join(["text,label", *rows]))
    arguments = (
        "sweep", "text-classification/gru", "--data", table, "--set", "hidden_size=2,3", "--set",
        "steps=2", "--seeds", 1, "--out", tmp_path / "s", "--no-test", "--quiet", "--threads", 1,
    )  # fmt: skip
    done = zoo_here(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["complete"] is True
    table.write_text("\n".join(["text,label", *rows, "another,1"]))
    done = zoo_here(*arguments)
    assert done.returncode == DataError.exit_code
    assert "has changed" in done.stderr
