"""Files of earlier formats load with the same outputs and resume to the same weights."""

from __future__ import annotations

import hashlib
import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run

import zoo
from zoo.formats import FORMAT
from zoo.weights import file as weights_file

GOLDEN = Path(__file__).parent / "golden"
FOLDERS = sorted(path.name for path in GOLDEN.glob("format-*"))
MAKE = runpy.run_path(str(GOLDEN / "make.py"))
NAMES = list(MAKE["RUNS"])
# Metrics of earlier versions, and what they are called now.
RENAMED = {
    "cold_loss": "windowed_loss", "cold_bits_per_character": "windowed_bits_per_character",
}  # fmt: skip
RESHAPED = {"labels", "confusion"}  # One table since format 2.

each = pytest.mark.parametrize("folder", FOLDERS)
each_run = pytest.mark.parametrize("name", NAMES)


def expected(folder: str) -> Any:
    return json.loads((GOLDEN / folder / "expected.json").read_text(encoding="utf-8"))


def copy_of(folder: str, name: str, to: Path) -> Path:
    """Copy a run directory, and say where its data is on this machine."""
    run = to / name
    shutil.copytree(GOLDEN / folder / name, run)
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    config["data"] = str(GOLDEN / "data" / Path(config["data"]).name)
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return run


def test_there_are_files_of_every_format() -> None:
    assert [f"format-{number}" for number in range(1, FORMAT + 1)] == FOLDERS


@each
def test_the_files_are_those_that_were_made(folder: str) -> None:
    found = {
        path.relative_to(GOLDEN / folder).as_posix(): path.read_bytes()
        for path in (GOLDEN / folder).rglob("*")
        if path.is_file() and path.name != "expected.json"
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    assert digests == expected(folder)["sha256"]
    assert sum(map(len, found.values())) < 120_000


@each
@each_run
def test_weights_give_the_same_answers(folder: str, name: str) -> None:
    recorded = expected(folder)["runs"][name]
    path = GOLDEN / folder / f"{name}.safetensors"
    assert zoo.load(path).verify() < 1e-4
    answers = MAKE["answers"](path)
    torch.testing.assert_close(
        torch.tensor(answers["outputs"]), torch.tensor(recorded["outputs"]), atol=1e-5, rtol=0
    )
    assert answers.get("generated") == recorded.get("generated")
    predictions = zip(answers.get("predictions", []), recorded.get("predictions", []), strict=True)
    for found, before in predictions:
        assert (found["text"], found["label"]) == (before["text"], before["label"])
        assert found["scores"] == pytest.approx(before["scores"], abs=1e-5)


@each
@each_run
def test_weights_are_evaluated_with_the_same_score(folder: str, name: str) -> None:
    model = zoo.load(GOLDEN / folder / f"{name}.safetensors")
    recorded = expected(folder)["runs"][name]["test"]
    measured = model.evaluate(GOLDEN / "data" / MAKE["RUNS"][name][1], threads=1)
    for key, value in recorded.items():
        if folder == "format-1" and key in RESHAPED:
            continue
        majority = measured.get("baselines", {}).get("majority")
        again = majority if key == "baseline" else measured[RENAMED.get(key, key)]
        assert again == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value)
    assert model.info["metrics"]["test"] == recorded


@each
@each_run
def test_weights_of_an_interrupted_run_load(folder: str, name: str, tmp_path: Path) -> None:
    run = copy_of(folder, name, tmp_path)
    assert zoo.load(run).verify() < 1e-4
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").open()]
    assert zoo.load(run).info["metrics"]["validation"]["step"] == steps[-1]


@each
@each_run
def test_a_run_resumes_to_the_same_weights(folder: str, name: str, tmp_path: Path) -> None:
    path = copy_of(folder, name, tmp_path)
    before = (path / "metrics.jsonl").read_text().splitlines()
    run = zoo.resume(path, device="cpu", threads=1, progress=False)
    assert not run.interrupted
    assert (path / "metrics.jsonl").read_text().splitlines()[: len(before)] == before
    final = zoo.load(GOLDEN / folder / f"{name}.safetensors")
    found, wanted = run.model.module.state_dict(), final.module.state_dict()
    assert list(found) == list(wanted)
    same_machine = MAKE["machine"]() == expected(folder)["machine"]
    for key, tensor in wanted.items():
        if same_machine and name != "char-lm":
            assert torch.equal(found[key], tensor), key
        else:
            tolerance = 1e-6 if same_machine else 1e-3
            torch.testing.assert_close(found[key], tensor, atol=tolerance, rtol=0)
    loss = final.info["metrics"]["validation"]["loss"]
    assert run.metrics["validation"]["loss"] == pytest.approx(loss, abs=1e-3)


@each
def test_the_learning_rate_of_a_resumed_run_is_that_of_its_schedule(
    folder: str, tmp_path: Path
) -> None:
    rates = []

    class Rates(zoo.Callback):
        def on_step_end(self, trainer: Any) -> None:
            rates.append(trainer.optimizer.param_groups[0]["lr"])

    run = copy_of(folder, "plateau", tmp_path)
    zoo.resume(run, callbacks=[Rates()], device="cpu", threads=1, progress=False)
    # Accuracy does not improve: of steps 6 to 16, two an epoch, the rate is halved after the
    # third, fifth and seventh epoch.
    assert rates == [1e-3] + [5e-4] * 4 + [2.5e-4] * 4 + [1.25e-4] * 2


def test_a_run_of_0_1_is_resumed_by_the_command_with_its_old_settings(
    tmp_path: Path, zoo_here: Run
) -> None:
    run = copy_of("format-1", "char-lm", tmp_path)
    old = ("--set", "window=16", "--set", "reading=streams", "--set", "beta2=0.99")
    common = ("train", "char-lm/lstm", "--out", run, "--resume", "--threads", 1)
    refused = zoo_here(*common, "--set", "window=17")
    assert refused.returncode == 2
    assert "task.bptt_steps" in refused.stderr
    done = zoo_here(*common, *old)
    assert done.returncode == 0, done.stderr
    assert "option 'window' is deprecated since 0.2" in done.stderr
    assert done.stdout.splitlines()[-1] == str(run)


def test_the_header_of_format_1_is_read_in_the_form_of_this_version() -> None:
    old, new = (
        weights_file.inspect(GOLDEN / folder / "sentiment.safetensors").header
        for folder in ("format-1", f"format-{FORMAT}")
    )
    assert set(old) == set(new)
    assert set(old["run"]) == set(new["run"])
    assert old["zoo"] == "0.1.0"
    assert old["run"]["task"]["options"]["keep"] == "both"
    for part in ("optimizer", "scheduler"):
        assert old["run"][part] == {**new["run"][part], "version": "0.1.0"}
    training = old["run"]["training"]
    assert training == {key: new["run"]["training"][key] for key in training}
    assert old["task_state"] == new["task_state"]
    assert set(old["probe"]) == set(new["probe"])
