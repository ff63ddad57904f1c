"""A run that was stopped and resumed is bit for bit the run that was not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from plain_sentiment import PLAIN
from sum_task import equal, registered

import zoo
from zoo.engine.run_directory import RunDirectory
from zoo.errors import DataError, UsageError, WeightsError
from zoo.weights.file import digest

Train = Callable[..., zoo.Run]
SMALL = ("hidden_size=4", "embed_size=4")
RUNS = {
    # Eight steps an epoch.
    "sentiment": (
        "sentiment/lstm", *PLAIN, "epochs=2", "batch_size=256", "accumulate=2",
        "task.dropout=0.3", "word_dropout=0.1", "embed_dropout=0.2", "average=0.9",
        "schedule=one-cycle", "learning_rate=0.02",
    ),
    # Eleven steps an epoch, evaluated in between, with a state that is carried.
    "contiguous": (
        "char-lm/lstm", "steps=16", "batching=contiguous", "bptt_steps=100", "batch_size=16",
        "task.dropout=0.2", "evaluate_every=4", "optimizer=adamw", "weight_decay=0.1",
        "learning_rate=0.02", "num_layers=2", "model.dropout=0.1",
    ),
    "random": (
        "char-lm/gru", "steps=16", "batching=random", "bptt_steps=30", "evaluate_every=2",
        "optimizer=sgd", "momentum=0.9", "learning_rate=30.0", "schedule=plateau",
        "initial_state=random",
    ),
}  # fmt: skip
STOPS = [(1,), (8,), (11,), (3, 2, 6)]


class KilledError(BaseException):
    """Ends a training as the end of its process would."""


class Kill(zoo.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, trainer: Any) -> None:
        if trainer.state.step == self.step:
            raise KilledError


@pytest.fixture(scope="module")
def start(train_here: Train, text_file: Path) -> Callable[..., Any]:
    def run(kind: str, out: Path, **how: Any) -> Any:
        name, *settings = RUNS[kind]
        data = text_file if name.startswith("char-lm") else ""
        return train_here(name, out, *settings, *SMALL, data=data, **how)

    return run


@pytest.fixture(scope="module")
def whole(
    start: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return the directory of a run that was not stopped."""
    done: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in done:
            done[kind] = tmp_path_factory.mktemp("whole") / kind
            assert not start(kind, done[kind]).interrupted
        return done[kind]

    return get


def checkpoint(run: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    with safetensors.safe_open(run / "checkpoint.safetensors", "pt") as file:
        header = json.loads(file.metadata()["zoo-checkpoint"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del header["state"]["seconds"], header["digest"]  # The digest covers the seconds.
    return header, tensors


def evaluations(run: Path) -> list[dict[str, Any]]:
    found = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [
        {key: value for key, value in line.items() if key != "seconds"}
        for line in found
        if line["kind"] == "evaluation"
    ]


def assert_same(resumed: Path, uninterrupted: Path) -> None:
    for file in ("weights.safetensors", "config.json"):
        assert (resumed / file).read_bytes() == (uninterrupted / file).read_bytes(), file
    (header, tensors), (expected_header, expected) = map(checkpoint, (resumed, uninterrupted))
    assert header == expected_header
    assert tensors.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(tensors[name], expected[name])] == []
    assert evaluations(resumed) == evaluations(uninterrupted)


@pytest.mark.parametrize("stops", STOPS, ids=str)
@pytest.mark.parametrize("kind", RUNS)
def test_interrupted_and_resumed(
    kind: str, stops: tuple[int, ...], start: Any, whole: Any, tmp_path: Path
) -> None:
    steps = 0
    for number, stop in enumerate(stops):
        torch.manual_seed(number + 50)  # Another process has other random states.
        run = start(kind, tmp_path / "run", resume=number > 0, stop_after=stop)
        steps += stop
        assert run.interrupted
        assert checkpoint(run.path)[0]["state"]["step"] == steps
    torch.manual_seed(99)
    assert not start(kind, tmp_path / "run", resume=True).interrupted
    assert_same(tmp_path / "run", whole(kind))


@pytest.mark.parametrize("killed", [2, 10, 15])
@pytest.mark.parametrize("kind", RUNS)
def test_killed_and_resumed_from_the_last_checkpoint(
    kind: str, killed: int, start: Any, whole: Any, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        start(kind, tmp_path / "run", callbacks=[Kill(killed)])
    start(kind, tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", whole(kind))


@pytest.mark.parametrize("kind", RUNS)
def test_resuming_a_finished_run_changes_nothing(kind: str, start: Any, whole: Any) -> None:
    before = {path.name: path.read_bytes() for path in whole(kind).iterdir()}
    assert not start(kind, whole(kind), resume=True).interrupted
    assert {path.name: path.read_bytes() for path in whole(kind).iterdir()} == before


def test_a_run_does_not_resume_with_other_data(
    train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    data, out = tmp_path / "book.txt", tmp_path / "run"
    text = text_file.read_text(encoding="utf-8")
    data.write_text(text, encoding="utf-8")
    settings = ("steps=6", *SMALL)
    train_here("char-lm/lstm", out, *settings, data=data, stop_after=3)
    before = (out / "checkpoint.safetensors").read_bytes()
    data.write_text(text.swapcase(), encoding="utf-8")
    with pytest.raises(DataError, match="data has changed since the run was started"):
        train_here("char-lm/lstm", out, *settings, data=data, resume=True)
    assert (out / "checkpoint.safetensors").read_bytes() == before
    data.write_text(text, encoding="utf-8")
    train_here("char-lm/lstm", out, *settings, data=data, resume=True)


def test_one_process_trains_in_a_directory_at_a_time(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    start("random", tmp_path / "run", stop_after=3)
    # What that process has logged since its last checkpoint.
    metrics = tmp_path / "run" / "metrics.jsonl"
    with metrics.open("a") as log:
        log.write('{"kind": "train", "step": 4}\n')
    before = metrics.read_bytes()
    with (
        RunDirectory(tmp_path / "run").lock(),
        pytest.raises(UsageError, match="another process is training this run"),
    ):
        start("random", tmp_path / "run", resume=True)
    assert metrics.read_bytes() == before
    start("random", tmp_path / "run", resume=True)
    assert metrics.read_bytes() != before


def test_an_incomplete_line_of_the_metrics_log_is_dropped(
    start: Any, whole: Any, tmp_path: Path
) -> None:
    start("contiguous", tmp_path / "run", stop_after=9)
    with (tmp_path / "run" / "metrics.jsonl").open("a") as log:
        log.write('{"kind": "evaluation", "step": 9, "lo')
    start("contiguous", tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", whole("contiguous"))


def test_a_checkpoint_has_everything_by_name(whole: Any) -> None:
    names = {path.name for path in whole("contiguous").iterdir()}
    assert names == {
        "config.json", "metrics.jsonl", "checkpoint.safetensors", "weights.safetensors", ".lock",
    }  # fmt: skip
    header, tensors = checkpoint(whole("contiguous"))
    assert header["state"]["step"] == 16
    assert header["state"]["epoch"] == 1
    weights = safetensors.torch.load_file(whole("contiguous") / "weights.safetensors")
    for name in weights:
        assert tensors[f"network.{name}"].shape == weights[name].shape
        assert tensors[f"optimizer.{name}.exp_avg"].shape == weights[name].shape
        assert tensors[f"optimizer.{name}.step"].item() == 16
    assert tensors["state.0"].shape == tensors["state.1"].shape == (2, 16, 4)
    assert "random.cpu" in tensors
    # The other tests cover a plateau: it is reached before the training is stopped.
    assert checkpoint(whole("random"))[0]["parameter_groups"][0]["lr"] < 15
    _, averaging = checkpoint(whole("sentiment"))
    assert "average.module.fc1.weight" in averaging


OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "linear", "cosine", "one-cycle", "plateau")
SUM = (
    "hidden_size=3", "epochs=3", "batch_size=16", "accumulate=3", "average=0.8", "clip_norm=0.5",
    "evaluate_every=2", "patience=50", "weight_decay=0.01",
)  # fmt: skip


def sum_settings(optimizer: str, schedule: str) -> tuple[str, ...]:
    # With a learning rate this high the loss goes up and down, so that a plateau is reached.
    rate = {"sgd": "1.0"}.get(optimizer, "0.5")
    more = {"sgd": ("momentum=0.9",)}.get(optimizer, ("beta2=0.9",))
    warm = ("tolerance=0",) if schedule == "plateau" else ("warmup=0.3",)
    chosen = f"optimizer={optimizer}", f"schedule={schedule}", f"learning_rate={rate}"
    return (*SUM, *chosen, *more, *warm)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_and_schedule_resumes(
    optimizer: str, schedule: str, train_here: Train, tmp_path: Path
) -> None:
    settings = sum_settings(optimizer, schedule)
    with registered():
        train_here("sum/lstm", tmp_path / "whole", *settings)
        train_here("sum/lstm", tmp_path / "run", *settings, stop_after=3)
        train_here("", tmp_path / "run", resume=True, stop_after=4)
        train_here("", tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", tmp_path / "whole")
    if schedule == "plateau":
        header, _ = checkpoint(tmp_path / "run")
        assert header["parameter_groups"][0]["lr"] < 0.5


def one_cycle_of_torch(
    optimizer: torch.optim.Optimizer, total_steps: int, options: zoo.Options
) -> torch.optim.lr_scheduler.OneCycleLR:
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=total_steps + 1)


def test_what_a_scheduler_changes_beside_the_learning_rate_resumes(
    train_here: Train, tmp_path: Path
) -> None:
    # OneCycleLR changes beta1 as well.
    info = zoo.SchedulerInfo(name="torch-one-cycle", summary="", target=one_cycle_of_torch)
    settings = ("hidden_size=3", "epochs=2", "schedule=torch-one-cycle", "beta2=0.9")
    with registered(info):
        train_here("sum/lstm", tmp_path / "whole", *settings)
        train_here("sum/lstm", tmp_path / "run", *settings, stop_after=4)
        train_here("", tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", tmp_path / "whole")
    header, _ = checkpoint(tmp_path / "run")
    assert header["parameter_groups"][0]["betas"] != [0.9, 0.9]


def test_a_run_that_has_no_checkpoint_yet_starts_from_its_initial_weights_again(
    train_here: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("hidden_size=3", "steps=3", "learning_rate=0.1")
    monkeypatch.chdir(tmp_path)
    with registered():
        train_here("sum/lstm", Path("first"), *settings)
        train_here("sum/lstm", Path("whole"), *settings, init="first")
        with pytest.raises(KilledError):
            train_here("sum/lstm", Path("run"), *settings, init="first", callbacks=[Kill(1)])
        assert not Path("run/checkpoint.safetensors").exists()
        monkeypatch.chdir("/")
        run = train_here("", tmp_path / "run", resume=True)
    assert run.transfer == "6 tensors taken"
    assert_same(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("average", ["0.0", "0.9"])
def test_a_checkpoint_restores_every_tensor_bit_for_bit(
    average: str, train_here: Train, tmp_path: Path
) -> None:
    found: list[dict[str, torch.Tensor]] = []

    class Keep(zoo.Callback):
        def on_train_begin(self, trainer: Any) -> None:
            self._keep(trainer)

        def on_train_end(self, trainer: Any) -> None:
            self._keep(trainer)

        def _keep(self, trainer: Any) -> None:
            network, mean = trainer.network.state_dict(), trainer.eval_network.state_dict()
            tensors = {**network, **{f"mean.{name}": value for name, value in mean.items()}}
            found.append({name: tensor.clone() for name, tensor in tensors.items()})

    with registered():
        train_here(
            "sum/gru", tmp_path / "run", "hidden_size=3", "epochs=2", f"average={average}",
            callbacks=[Keep()], stop_after=3,
        )  # fmt: skip
        train_here("", tmp_path / "run", resume=True, callbacks=[Keep()])
    assert equal(found[1], found[2])
    assert not equal(found[0], found[1])


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(content: bytes) -> bytes:
    return b""


def overwritten(content: bytes) -> bytes:
    return b"\x00" * len(content)


def foreign(content: bytes) -> bytes:
    return safetensors.torch.save({"a": torch.zeros(3)})


def changed(content: bytes, tensors: dict[str, torch.Tensor], **header: Any) -> bytes:
    """Return a checkpoint with other tensors or header, and with the digest of these."""
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size])["__metadata__"]
    full = {**json.loads(metadata["zoo-checkpoint"]), **header}
    full["digest"] = digest(full, tensors)
    return safetensors.torch.save(tensors, {"zoo-checkpoint": json.dumps(full)})


def of_another_format(content: bytes) -> bytes:
    return changed(content, safetensors.torch.load(content), format=99)


def of_another_network(content: bytes) -> bytes:
    tensors = safetensors.torch.load(content)
    tensors["network.fc.weight"] = torch.zeros(3, 3)
    return changed(content, tensors)


def without_a_buffer(content: bytes) -> bytes:
    tensors = safetensors.torch.load(content)
    del tensors["optimizer.fc.weight.exp_avg"]
    size = int.from_bytes(content[:8], "little")
    return safetensors.torch.save(tensors, json.loads(content[8 : 8 + size])["__metadata__"])


def without_a_state(content: bytes) -> bytes:
    tensors = safetensors.torch.load(content)
    del tensors["state.1"]
    return changed(content, tensors)


def bit_flipped(content: bytes) -> bytes:
    flipped = bytearray(content)
    flipped[-1000] ^= 4
    return bytes(flipped)


@pytest.mark.parametrize(
    "damage",
    [truncated, emptied, overwritten, foreign, of_another_format, of_another_network,
     without_a_buffer, without_a_state, bit_flipped],
)  # fmt: skip
def test_a_damaged_checkpoint_is_refused_and_left_alone(
    damage: Callable[[bytes], bytes], start: Any, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    start("contiguous", run, stop_after=2)
    file = run / "checkpoint.safetensors"
    bad = damage(file.read_bytes())
    file.write_bytes(bad)
    with pytest.raises(
        WeightsError, match=r"cannot resume from the checkpoint|has format 99"
    ) as failure:
        start("contiguous", run, resume=True)
    assert str(file) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert file.read_bytes() == bad
