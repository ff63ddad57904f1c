"""What calls from Python leave as they found it: threads, denormals, generators, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run as Command
from plain_sentiment import PLAIN, as_settings

import zoo
from zoo.environment import computing, num_processors
from zoo.errors import PluginError

# In a process of its own: modules are imported there, and no fixture has set anything.
LOAD = """
import gc, hashlib, json, pickle, random, signal, sys, warnings
import numpy, sklearn.metrics, torch  # Imported first: they add filters of warnings.
import zoo

def settings():
    digest = lambda value: hashlib.sha256(pickle.dumps(value)).hexdigest()
    return {
        "threads": torch.get_num_threads(),
        "interop threads": torch.get_num_interop_threads(),
        "keeps denormals": bool(torch.tensor(1e-310, dtype=torch.float64) * 1 != 0),
        "dtype": str(torch.get_default_dtype()),
        "device": str(torch.get_default_device()),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "torch generator": digest(torch.get_rng_state().numpy().tobytes()),
        "numpy generator": digest(numpy.random.get_state()),
        "python generator": digest(random.getstate()),
        "numpy errors": numpy.geterr(),
        "warnings": [str(item) for item in warnings.filters],
        "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "frozen": gc.get_freeze_count(),
        "excepthook": str(sys.excepthook),
    }

before = settings()
model = zoo.load(sys.argv[1])
loaded = settings()
list(model.predict(["a fine film"]))
model.embed(["a fine film"])
model.verify()
model.evaluate(sys.argv[2], split="all", threads=1)
print(json.dumps([before, loaded, settings()]))
"""


def test_load_and_predict_change_no_setting_of_the_process(
    sentiment_run: Path, tmp_path: Path
) -> None:
    data = tmp_path / "reviews.csv"
    data.write_text("text,label\n" + "fine plot,pos\ndull plot,neg\n" * 20, encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(sentiment_run), str(data)],
        capture_output=True, text=True, check=False, timeout=120, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, loaded, used = json.loads(done.stdout)
    assert before["keeps denormals"]
    for name, value in before.items():
        assert loaded[name] == value, name
        assert used[name] == value, name


@pytest.fixture
def denormals() -> Iterator[None]:
    """Keep denormal numbers, as torch does by default; tests flush them."""
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(True)


def keeps_denormals() -> bool:
    return bool(torch.tensor(1e-310, dtype=torch.float64) * 1 != 0)


class Look(zoo.Callback):
    """Keeps what is set during a training."""

    def __init__(self, fail: bool) -> None:
        self.fail = fail
        self.seen: dict[str, Any] = {}

    def on_step_end(self, trainer: Any) -> None:
        self.seen = {
            "threads": torch.get_num_threads(),
            "keeps denormals": keeps_denormals(),
            "handlers": handlers(),
        }
        if self.fail:
            raise RuntimeError


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.usefixtures("denormals")
@pytest.mark.parametrize("fail", [False, True])
def test_train_restores_threads_denormals_and_signal_handlers(fail: bool, tmp_path: Path) -> None:
    before = torch.get_num_threads(), handlers()
    look = Look(fail)
    settings = {**as_settings(*PLAIN), "hidden_size": 2, "steps": 1}

    def train() -> zoo.Run:
        return zoo.train(
            "sentiment/rnn", out=tmp_path / "run", settings=settings, callbacks=[look], threads=2,
            progress=False,
        )  # fmt: skip

    if fail:
        with pytest.raises(PluginError):
            train()
    else:
        train()
    assert look.seen["threads"] == 2
    assert not look.seen["keeps denormals"]
    assert look.seen["handlers"] != before[1]
    assert (torch.get_num_threads(), handlers()) == before
    assert keeps_denormals()


def test_train_works_in_a_thread_that_can_handle_no_signals(tmp_path: Path) -> None:
    runs: list[zoo.Run] = []
    before = handlers()

    def train() -> None:
        settings = {**as_settings(*PLAIN), "hidden_size": 2, "steps": 1}
        runs.append(
            zoo.train(
                "sentiment/rnn", out=tmp_path / "run", settings=settings, threads=1, progress=False
            )
        )

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert not runs[0].interrupted
    assert handlers() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_training_with_a_checkpoint(number: int, tmp_path: Path) -> None:
    class Interrupt(zoo.Callback):
        def on_step_end(self, trainer: Any) -> None:
            if trainer.state.step == 2:
                signal.raise_signal(number)

    settings = {**as_settings(*PLAIN), "hidden_size": 2, "steps": 5}
    run = zoo.train(
        "sentiment/rnn", out=tmp_path / "run", settings=settings, callbacks=[Interrupt()],
        threads=1, progress=False,
    )  # fmt: skip
    assert (run.interrupted, run.stop_reason) == (True, "interrupted")
    assert (run.path / "checkpoint.safetensors").exists()
    assert not zoo.resume(run.path, threads=1, progress=False).interrupted


@pytest.mark.usefixtures("denormals")
def test_computing_sets_threads_and_denormals_and_restores_them() -> None:
    before = torch.get_num_threads()
    for threads, expected in ((None, before), (3, 3), (0, num_processors())):
        with pytest.raises(ValueError, match="inside"), computing(threads):
            assert torch.get_num_threads() == expected
            assert not keeps_denormals()
            raise ValueError("inside")
        assert torch.get_num_threads() == before
        assert keeps_denormals()


def test_python_and_the_command_line_train_the_same_bits(
    zoo_command: Command, tmp_path: Path
) -> None:
    settings = {"hidden_size": 8, "embed_size": 4, "steps": 6, "task.dropout": 0.3}
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    done = zoo_command(
        "train", "sentiment/bilstm", *pairs, "--seed", 3, "--threads", 1, "--out", tmp_path / "one"
    )
    assert done.returncode == 0, done.stderr
    torch.manual_seed(99)
    zoo.train(
        "sentiment/bilstm", out=tmp_path / "other", settings=settings, seed=3, threads=1,
        progress=False,
    )  # fmt: skip
    one, other = ((tmp_path / name / "weights.safetensors") for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


# A user of a container, for instance, who is in no list of users.
HOMELESS = """
import pwd
def getpwuid(number):
    raise KeyError(number)
pwd.getpwuid = getpwuid
from zoo.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "variables", [{}, {"HOME": ""}, {"HOME": "/proc"}, {"ZOO_CACHE": "/proc/x"}]
)
@pytest.mark.parametrize("command", ["env", "predict RUN film", "list --json"])
def test_commands_work_without_a_home_or_a_cache_that_can_be_written(
    command: str, variables: dict[str, str], sentiment_run: Path, tmp_path: Path
) -> None:
    unset = ("HOME", "XDG_CACHE_HOME", "ZOO_CACHE", "NUMBA_CACHE_DIR")
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    done = subprocess.run(
        [sys.executable, "-c", HOMELESS, *command.replace("RUN", str(sentiment_run)).split()],
        capture_output=True, text=True, cwd=tmp_path, timeout=120,
        env={**environment, **variables, "ZOO_BACKEND": "torch"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_bounds_spinning_unless_the_user_did() -> None:
    script = "import os\nfrom zoo.cli.main import main\ntry: main()\nexcept SystemExit: pass\n"
    script += "print(os.environ.get('GOMP_SPINCOUNT'))"
    for variables, expected in (
        ({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
    ):  # fmt: skip
        environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
        done = subprocess.run(
            [sys.executable, "-c", script, "--version"], capture_output=True, text=True,
            env={**environment, **variables},
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == expected
