"""A resumed run is compared with what its checkpoint was written under."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from conftest import Run
from sum_task import registered
from test_resume import assert_same, changed
from toy_task import TOY

import zoo
from zoo.environment import versions
from zoo.errors import UsageError, WeightsError, ZooWarning

Train = Callable[..., zoo.Run]
SETTINGS = ("hidden_size=3", "batch_size=16", "epochs=2", "learning_rate=0.05")


@pytest.fixture(autouse=True)
def sums() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture
def stopped(train_here: Train, tmp_path: Path) -> Path:
    return train_here("sum/lstm", tmp_path / "run", *SETTINGS, stop_after=12).path


def files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir()}


def edit(run: Path, *keys: str, value: Any) -> None:
    config = json.loads((run / "config.json").read_text())
    place = config
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (run / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("name", ["torch", "numpy", "python"])
def test_other_versions_are_refused_unless_they_are_allowed_and_then_recorded(
    name: str, stopped: Path, train_here: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, now = files(stopped), versions()
    monkeypatch.setattr("zoo.engine.origin.versions", lambda: {**now, name: "99.0"})
    with pytest.raises(UsageError, match=rf"{name} is 99\.0 and was .*--allow-changed"):
        train_here("", stopped, resume=True)
    assert files(stopped) == before
    run = train_here("", stopped, resume=True, allow_changed=True, stop_after=1)
    changes = [{"name": name, "was": now[name], "now": "99.0"}]
    assert run.config["changes"] == [{"step": 12, "changed": changes}]
    assert not train_here("", stopped, resume=True).interrupted  # It goes on as it is now.
    train_here("sum/lstm", tmp_path / "whole", *SETTINGS)
    weights = "weights.safetensors"
    found, expected = (
        safetensors.torch.load_file(out / weights) for out in (stopped, tmp_path / "whole")
    )
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_a_plugin_of_another_version_is_named(stopped: Path, train_here: Train) -> None:
    content = (stopped / "checkpoint.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["zoo-checkpoint"])
    environment = {**header["environment"], "seqzoo": "0.1.7"}
    (stopped / "checkpoint.safetensors").write_bytes(
        changed(content, safetensors.torch.load(content), environment=environment)
    )
    with pytest.raises(UsageError, match=r"seqzoo is .* and was 0\.1\.7"):
        train_here("", stopped, resume=True)


def test_a_run_keeps_its_number_of_threads(train_here: Train, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_here("sum/lstm", out, *SETTINGS, stop_after=3, threads=2)
    before = files(out)
    with pytest.raises(UsageError, match="threads is 1 and was 2"):
        train_here("", out, resume=True, threads=1)
    assert files(out) == before
    seen = []

    class Threads(zoo.Callback):
        def on_step_end(self, trainer: Any) -> None:
            seen.append(torch.get_num_threads())

    assert train_here("", out, resume=True, threads=0, callbacks=[Threads()]).test
    assert set(seen) == {2}
    assert torch.get_num_threads() == 1


def test_other_conditions_do_not_matter_to_a_run_that_is_complete(
    train_here: Train, tmp_path: Path
) -> None:
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS)
    before = files(run.path)
    train_here("", run.path, resume=True, threads=2)
    assert files(run.path) == before
    with pytest.raises(UsageError, match="threads is 2 and was 1"):
        zoo.resume(run.path, epochs=3, threads=2, progress=False)


def test_an_edited_configuration_is_named_and_never_allowed(
    stopped: Path, train_here: Train
) -> None:
    for keys, value in (
        (("training", "learning_rate"), 0.5), (("optimizer", "options", "beta2"), 0.5),
        (("scheduler", "name"), "linear"), (("seed",), 7), (("training", "accumulate"), 2),
        (("task", "options", "rows"), 90), (("model", "options", "hidden_size"), 4),
        (("data_sha256",), None),
    ):  # fmt: skip
        before = (stopped / "config.json").read_text()
        edit(stopped, *keys, value=value)
        shown = "missing" if value is None else str(value)
        with pytest.raises(UsageError, match=rf"edited in .*{keys[-1]} is {shown} and was"):
            train_here("", stopped, resume=True, allow_changed=True)
        (stopped / "config.json").write_text(before)
    train_here("", stopped, resume=True)


def test_an_edited_length_extends_the_run_and_says_so(
    stopped: Path, train_here: Train, tmp_path: Path
) -> None:
    edit(stopped, "training", "epochs", value=4)
    with pytest.warns(ZooWarning, match="the length of the run is another"):
        run = train_here("", stopped, resume=True)
    assert run.history["step"][-1] == 40


def test_a_checkpoint_of_an_earlier_version_resumes(
    stopped: Path, train_here: Train, tmp_path: Path
) -> None:
    """It says nothing of its configuration, and nothing of evaluations that were left out."""
    file = stopped / "checkpoint.safetensors"
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["zoo-checkpoint"])
    del header["config"], header["environment"], header["evaluated"], header["digest"]
    tensors = {
        name: tensor
        for name, tensor in safetensors.torch.load(content).items()
        if not name.startswith("window.")
    }
    from zoo.weights.file import digest

    full = {**header, "digest": digest(header, tensors)}
    file.write_bytes(safetensors.torch.save(tensors, {"zoo-checkpoint": json.dumps(full)}))
    train_here("", stopped, resume=True, threads=1)
    train_here("sum/lstm", tmp_path / "whole", *SETTINGS)
    assert_same(stopped, tmp_path / "whole")


def test_a_checkpoint_that_is_not_finite_is_refused(stopped: Path, train_here: Train) -> None:
    file = stopped / "checkpoint.safetensors"
    content = file.read_bytes()
    tensors = safetensors.torch.load(content)
    tensors["network.fc.bias"][0] = float("nan")
    file.write_bytes(changed(content, tensors))
    with pytest.raises(WeightsError, match=r"cannot resume.*parameter fc\.bias is not finite"):
        train_here("", stopped, resume=True)


def test_a_metric_that_is_no_longer_installed_is_left_out(stopped: Path, train_here: Train) -> None:
    file = stopped / "checkpoint.safetensors"
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["zoo-checkpoint"])
    config = {**header["config"], "metrics": ["matthews"]}
    file.write_bytes(changed(content, safetensors.torch.load(content), config=config))
    edit(stopped, "metrics", value=["matthews"])
    with pytest.warns(ZooWarning, match="metric matthews is no longer installed and left out"):
        run = train_here("", stopped, resume=True)
    with pytest.warns(ZooWarning, match="metric matthews"):
        assert run.test


# Weights that are gone


def test_missing_weights_of_a_finished_run_are_written_again(
    train_here: Train, tmp_path: Path
) -> None:
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, "selection=last")
    before = files(run.path)
    (run.path / "weights.safetensors").unlink()
    train_here("", run.path, resume=True)
    assert files(run.path) == before


def test_missing_weights_of_an_earlier_step_are_not_made_up(
    train_here: Train, tmp_path: Path
) -> None:
    # The first evaluation is the best one.
    settings = (*SETTINGS[:3], "learning_rate=3.0", "optimizer=sgd", "clip_norm=9")
    run = train_here("sum/lstm", tmp_path / "run", *settings)
    lines = [line for line in run.history["best"] if line is not None]
    assert lines == [True, False]
    (run.path / "weights.safetensors").unlink()
    with pytest.raises(WeightsError, match="the weights of the run are missing"):
        train_here("", run.path, resume=True)


def test_a_run_that_lost_its_checkpoint_is_not_started_again(
    train_here: Train, tmp_path: Path
) -> None:
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS)
    (run.path / "checkpoint.safetensors").unlink()
    before = files(run.path)
    with pytest.raises(WeightsError, match="the checkpoint of the run is missing"):
        train_here("", run.path, resume=True)
    assert files(run.path) == before


def test_the_command_allows_changes_of_a_resumed_run_only(tmp_path: Path, zoo_here: Run) -> None:
    zoo.register(TOY)
    done = zoo_here("train", "toy/gru", "--allow-changed", "--out", tmp_path / "run")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--allow-changed is for a run that is resumed" in done.stderr
    out = tmp_path / "run"
    zoo_here("train", "toy/gru", "--epochs", 1, "--threads", 1, "--out", out)
    more = ("train", "--out", out, "--resume", "--epochs", 2, "--threads", 2)
    assert zoo_here(*more).returncode == 2
    assert zoo_here(*more, "--allow-changed").returncode == 0
