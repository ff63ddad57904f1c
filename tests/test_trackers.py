"""Trackers: what they log is read back by the tools' own readers; a failure ends no training."""

from __future__ import annotations

import json
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Run as Command
from conftest import StopAfter
from safetensors.torch import load_file
from sum_task import equal, registered

import zoo
from zoo.errors import UsageError, ZooWarning
from zoo.interfaces import Setting, Tracker

Train = Callable[..., zoo.Run]
SETTINGS = ("hidden_size=3", "steps=6", "evaluate_every=3", "log_every=2", "learning_rate=0.01")


@pytest.fixture(autouse=True)
def sum_task() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, where MLflow has its store by default."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def untracked(train_here: Train, tmp_path: Path) -> Path:
    return train_here("sum/lstm", tmp_path / "untracked", *SETTINGS).path


def same_training(one: Path, other: Path) -> bool:
    """Return whether two runs have the same tensors, and the same metrics but for their times.

    The header of a weights file names the callbacks of its run.
    """
    about_time = {"seconds", "rows_per_second"}
    metrics = [
        [
            {key: value for key, value in json.loads(line).items() if key not in about_time}
            for line in (run / "metrics.jsonl").read_text().splitlines()
        ]
        for run in (one, other)
    ]
    tensors = [load_file(run / "weights.safetensors") for run in (one, other)]
    return metrics[0] == metrics[1] and equal(*tensors)


def logged(run: zoo.Run, kind: str, key: str) -> dict[int, float]:
    """Return values of ``metrics.jsonl`` by step."""
    history = run.history
    rows = zip(history["kind"], history["step"], history[key], strict=True)
    return {step: value for each, step, value in rows if each == kind}


class ReportWriter(zoo.Callback):
    """Stands for the callback that writes the report: it comes last, and is told first."""

    def on_run_end(self, run: zoo.Run) -> str | None:
        (run.path / "report.html").write_text("<p>report</p>")
        return None


class Dies(zoo.Callback):
    """Raises at a step, as a process that is killed ends between two checkpoints."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, trainer: Any) -> None:
        if trainer.state.step == self.step:
            raise ZeroDivisionError


# Tracker


class Kept(Tracker):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.settings: dict[str, Setting] = {}
        self.metrics: dict[tuple[str, int], float] = {}
        self.calls: list[Any] = []

    def start(self, run_directory: Path, settings: Mapping[str, Setting], step: int) -> None:
        self.settings = dict(settings)
        self.calls.append(("start", run_directory.name, step))

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self.metrics |= {(name, step): value for name, value in metrics.items()}

    def finish(self, files: Sequence[Path]) -> str:
        self.calls.append(("finish", [file.name for file in files]))
        return "kept: all of it"

    def end(self, status: str) -> None:
        self.calls.append(("end", status))


def test_a_tracker_gets_settings_metrics_and_files(
    train_here: Train, untracked: Path, tmp_path: Path
) -> None:
    kept = Kept()
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=[kept, ReportWriter()])
    assert kept.calls == [
        ("start", "run", 0),
        ("finish", ["weights.safetensors", "report.html"]),
        ("end", "finished"),
    ]
    expected = {"task": "sum", "task.rows": 160, "model": "lstm", "model.hidden_size": 3, "seed": 1}
    assert expected.items() <= kept.settings.items()
    assert kept.settings["training.learning_rate"] == 0.01
    assert not [name for name in kept.settings if name.startswith("callbacks")]
    for kind, split in (("train", "train"), ("evaluation", "validation")):
        found = {step: v for (name, step), v in kept.metrics.items() if name == f"{split}/loss"}
        assert found == logged(run, kind, "loss")
    assert kept.metrics["train/learning_rate", 6] == logged(run, "train", "learning_rate")[6]
    assert run.test is not None
    assert kept.metrics["test/loss", 6] == run.test["loss"]
    assert run.messages == ("kept: all of it",)
    assert same_training(run.path, untracked)


def test_the_status_is_that_of_the_training(train_here: Train, tmp_path: Path) -> None:
    class Fails(zoo.Callback):
        def on_step_end(self, trainer: Any) -> None:
            raise ZeroDivisionError

    stopped, failed = Kept(), Kept()
    train_here("sum/lstm", tmp_path / "one", *SETTINGS, callbacks=[stopped, StopAfter(4)])
    with pytest.raises(zoo.ZooError):
        train_here("sum/lstm", tmp_path / "two", *SETTINGS, callbacks=[failed, Fails()])
    assert [kept.calls[-1] for kept in (stopped, failed)] == [("end", "stopped"), ("end", "failed")]


def test_mappings_of_numbers_are_logged_one_by_one_and_tables_are_not() -> None:
    class State:
        step = 3

    class Trainer:
        state = State()

    kept = Kept()
    metrics = {
        "loss": 1, "label": "a", "best": True, "baselines": {"majority": 0.5},
        "table": {"rows": ["a"], "columns": ["b"], "values": [[1]], "note": ""},
    }  # fmt: skip
    kept.on_evaluate(Trainer(), metrics)  # type: ignore[arg-type]
    assert kept.metrics == {("validation/loss", 3): 1, ("validation/baselines/majority", 3): 0.5}


@pytest.mark.parametrize("method", ["start", "log_metrics", "finish", "end"])
def test_a_tracker_that_fails_is_one_warning(
    method: str, train_here: Train, untracked: Path, tmp_path: Path
) -> None:
    calls = []

    class Broken(Kept):
        def __getattribute__(self, name: str) -> Any:
            return self.fail if name == method else super().__getattribute__(name)

        def fail(self, *arguments: object) -> None:
            calls.append(arguments)
            raise OSError("the server is gone")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=[Broken()])
    (warned,) = [str(each.message) for each in caught if each.category is ZooWarning]
    assert warned.startswith("Broken failed, and the run is not tracked any more: OSError: the ser")
    assert len(calls) == 1
    assert same_training(run.path, untracked)


# TensorBoard


def events(folder: Path) -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    reader = accumulator.EventAccumulator(str(folder))
    reader.Reload()
    return reader


def scalars(reader: Any, name: str) -> dict[int, float]:
    found = [(event.step, event.value) for event in reader.Scalars(name)]
    assert len(found) == len(dict(found))  # No step comes twice.
    return dict(found)


def text(reader: Any, name: str) -> str:
    (event,) = reader.Tensors(f"{name}/text_summary")
    found: bytes = event.tensor_proto.string_val[0]
    return found.decode()


def test_tensorboard_reads_settings_metrics_and_paths(
    train_here: Train, untracked: Path, tmp_path: Path
) -> None:
    run = train_here(
        "sum/lstm", tmp_path / "run", *SETTINGS, callbacks=["tensorboard", ReportWriter()]
    )
    reader = events(run.path / "tensorboard")
    for kind, split in (("train", "train"), ("evaluation", "validation")):
        expected = logged(run, kind, "loss")
        assert scalars(reader, f"{split}/loss") == pytest.approx(expected)
    assert scalars(reader, "train/learning_rate") == pytest.approx(dict.fromkeys((2, 4, 6), 0.01))
    assert run.test is not None
    assert scalars(reader, "test/loss") == pytest.approx({6: run.test["loss"]})
    assert "| model.hidden_size | 3 |" in text(reader, "settings").splitlines()
    for name in ("weights.safetensors", "report.html"):
        assert f"* `{run.path / name}`" in text(reader, "files").splitlines()
    assert run.messages == (f"tensorboard: tensorboard --logdir {run.path / 'tensorboard'}",)
    assert same_training(run.path, untracked)


def test_the_hparams_page_has_settings_and_test_metrics(train_here: Train, tmp_path: Path) -> None:
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=["tensorboard"])
    metadata = pytest.importorskip("tensorboard.plugins.hparams.metadata")
    reader = events(run.path / "tensorboard")
    content = reader.PluginTagToContent(metadata.PLUGIN_NAME)
    start = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
    assert start.hparams["model"].string_value == "lstm"
    assert start.hparams["model.hidden_size"].number_value == 3
    experiment = metadata.parse_experiment_plugin_data(content[metadata.EXPERIMENT_TAG])
    assert [info.name.tag for info in experiment.metric_infos] == ["test/loss"]


def test_a_resumed_run_goes_on_in_tensorboard(train_here: Train, tmp_path: Path) -> None:
    out = tmp_path / "run"
    # Steps 4 and 5 are logged, and lost with the process: the checkpoint is that of step 3.
    with pytest.raises(zoo.ZooError):
        train_here("sum/lstm", out, *SETTINGS, callbacks=["tensorboard", Dies(5)])
    run = train_here("", out, resume=True)
    reader = events(out / "tensorboard")
    assert scalars(reader, "train/loss") == pytest.approx(logged(run, "train", "loss"))
    assert sorted(scalars(reader, "validation/loss")) == [3, 6]


def test_a_full_disk_is_one_warning_for_tensorboard(
    train_here: Train, untracked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = pytest.importorskip("tensorboard.summary.writer.record_writer").RecordWriter
    write = writer.write
    written: list[bytes] = []

    def fill(self: Any, data: bytes) -> None:
        if len(written) > 5:
            raise OSError(28, "No space left on device")
        written.append(data)
        write(self, data)

    monkeypatch.setattr(writer, "write", fill)
    with pytest.warns(ZooWarning, match="TensorBoard failed, .*No space left") as caught:
        run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=["tensorboard"])
    assert len(caught) == 1
    assert same_training(run.path, untracked)


# MLflow


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    pytest.importorskip("sqlalchemy")
    return pytest.importorskip("mlflow")


def read_back(mlflow: Any, run: Path, store: Path) -> tuple[Any, Any]:
    """Return MLflow's client and its run, by the id in the run directory."""
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{store}")
    return client, client.get_run(json.loads((run / "mlflow.json").read_text())["run_id"])


def history(client: Any, run: Any, name: str) -> dict[int, float]:
    found = [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, name)]
    assert len(found) == len(dict(found))  # No step comes twice.
    return dict(found)


def test_mlflow_reads_parameters_metrics_and_artifacts(
    mlflow: Any, train_here: Train, untracked: Path, tmp_path: Path
) -> None:
    run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=["mlflow", ReportWriter()])
    client, found = read_back(mlflow, run.path, tmp_path / "mlflow.db")
    assert (found.info.status, found.info.run_name) == ("FINISHED", "run")
    assert client.get_experiment(found.info.experiment_id).name == "zoo"
    assert {"model": "lstm", "model.hidden_size": "3"}.items() <= found.data.params.items()
    for kind, split in (("train", "train"), ("evaluation", "validation")):
        assert history(client, found, f"{split}/loss") == logged(run, kind, "loss")
    assert sorted(history(client, found, "train/learning_rate")) == [2, 4, 6]
    assert run.test is not None
    assert history(client, found, "test/loss") == {6: run.test["loss"]}
    for name in ("weights.safetensors", "report.html"):
        kept = client.download_artifacts(found.info.run_id, name, str(tmp_path))
        assert Path(kept).read_bytes() == (run.path / name).read_bytes()
    assert run.messages == (f"mlflow: run {found.info.run_id} in sqlite:///{tmp_path}/mlflow.db",)
    assert same_training(run.path, untracked)


def test_a_resumed_run_goes_on_in_the_same_run_of_mlflow(
    mlflow: Any, train_here: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with pytest.raises(zoo.ZooError):
        train_here("sum/lstm", out, *SETTINGS, callbacks=["mlflow", Dies(5)])
    client, before = read_back(mlflow, out, tmp_path / "mlflow.db")
    assert before.info.status == "FAILED"
    assert sorted(history(client, before, "train/loss")) == [2, 4]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = train_here("", out, resume=True, steps=8)
    client, found = read_back(mlflow, out, tmp_path / "mlflow.db")
    assert found.info.run_id == before.info.run_id
    assert found.info.status == "FINISHED"
    assert history(client, found, "train/loss") == logged(run, "train", "loss")
    assert sorted(history(client, found, "test/loss")) == [8]
    # Parameters cannot be changed there.
    assert found.data.params["training.steps"] == "6"
    assert found.data.tags["resumed.training.steps"] == "8"


def test_an_interrupted_run_is_killed_in_mlflow(
    mlflow: Any, train_here: Train, tmp_path: Path
) -> None:
    train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=["mlflow", StopAfter(4)])
    _, found = read_back(mlflow, tmp_path / "run", tmp_path / "mlflow.db")
    assert found.info.status == "KILLED"


def test_store_and_experiment_are_options(mlflow: Any, train_here: Train, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    train_here(
        "sum/lstm", tmp_path / "run", *SETTINGS, f"mlflow.tracking_uri=sqlite:///{store}",
        "mlflow.experiment=sums", callbacks=["mlflow"],
    )  # fmt: skip
    client, found = read_back(mlflow, tmp_path / "run", store)
    assert client.get_experiment(found.info.experiment_id).name == "sums"


@pytest.mark.parametrize("when", ["at the start", "later"])
def test_a_broken_store_is_one_warning_for_mlflow(
    when: str, mlflow: Any, train_here: Train, untracked: Path, tmp_path: Path
) -> None:
    class Breaks(zoo.Callback):
        def on_step_end(self, trainer: Any) -> None:
            if trainer.state.step == 3:
                (tmp_path / "mlflow.db").write_bytes(b"no data base" * 10000)

    if when == "at the start":
        (tmp_path / "mlflow.db").write_bytes(b"no data base" * 100)
    with pytest.warns(ZooWarning, match="MLflow failed, and the run is not tracked") as caught:
        run = train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=["mlflow", Breaks()])
    assert len([each for each in caught if each.category is ZooWarning]) == 1
    assert same_training(run.path, untracked)


def test_a_server_that_is_gone_is_one_warning_for_mlflow(
    mlflow: Any, train_here: Train, untracked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as taken:  # Bound, and not listening: connections are refused.
        taken.bind(("127.0.0.1", 0))
        store = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.warns(ZooWarning, match="MLflow failed, and the run is not tracked") as caught:
            run = train_here(
                "sum/lstm", tmp_path / "run", *SETTINGS, f"mlflow.tracking_uri={store}",
                callbacks=["mlflow"],
            )  # fmt: skip
    assert len([each for each in caught if each.category is ZooWarning]) == 1
    assert same_training(run.path, untracked)


# Command line


@pytest.mark.parametrize("library", ["tensorboard", "mlflow"])
def test_a_library_that_is_missing_is_told_before_the_training(
    library: str, train_here: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith((library, "zoo_tensorboard."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=rf"pip install 'seqzoo\[{library}\]'"):
        train_here("sum/lstm", tmp_path / "run", *SETTINGS, callbacks=[library])
    assert not (tmp_path / "run" / "config.json").exists()


def test_track_adds_trackers_on_the_command_line(
    zoo_here: Command, mlflow: Any, tmp_path: Path
) -> None:
    done = zoo_here(
        "train", "sum/lstm", "--steps", 4, "--out", "run", "--threads", 1,
        "--track", "tensorboard", "--track", "mlflow", "--callback", "tensorboard",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "tensorboard: tensorboard --logdir run/tensorboard\n" in done.stdout
    assert "mlflow: run " in done.stdout
    assert events(tmp_path / "run" / "tensorboard").Tags()["scalars"]
    assert read_back(mlflow, tmp_path / "run", tmp_path / "mlflow.db")[1].data.metrics
    assert zoo_here("train", "--track", "tensorbord", "sum/lstm").returncode == 2
