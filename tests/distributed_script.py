"""What torchrun starts in the tests: trainings in turn, as a JSON file lists them.

A training is an object with the arguments of ``zoo.train``. Beside these: ``resume`` continues its
run; ``stop_after`` stops it by a callback; ``signal`` (name, "train" or "evaluate", call) has
process 1 send itself a signal when its task is called so often in the first attempt. How each
training ended is a line of a file beside the run, one a process; a file beside the JSON file has
the threads that are left. Where no JSON file is given, the arguments are those of ``zoo``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from conftest import StopAfter
from sum_task import TASK
from token_task import SIGNALLED, TOKENS, UNWEIGHTED, send

import zoo
from zoo.cli.main import main as command
from zoo.errors import ZooError

RANK = int(os.environ["RANK"])
FIRST = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"


class InTheMainProcess(zoo.Callback):
    """Fails where it is called in another process."""

    def on_train_begin(self, trainer: Any) -> None:
        assert RANK == 0


def set_signal(name: str, where: str, call: int) -> None:
    if RANK == 1 and FIRST:
        send[where == "train"] = (call, signal.Signals[name])


def train(*, out: str, stop_after: int = 0, resume: bool = False, **arguments: Any) -> None:
    send.clear()
    if described := arguments.pop("signal", None):
        set_signal(*described)
    callbacks = [InTheMainProcess(), *([StopAfter(stop_after)] if stop_after else [])]
    how: dict[str, Any] = {"progress": False, "threads": 1, "device": "cpu", **arguments}
    how["callbacks"] = callbacks
    try:
        run = zoo.resume(out, **how) if resume else zoo.train(out=out, **how)
        result = f"interrupted={run.interrupted}"
    except ZooError as error:
        result = f"{type(error).__name__}: {error}"
    with Path(f"{out}.{RANK}.txt").open("a", encoding="utf-8") as file:
        file.write(f"{result}\n")


def write_threads(file: Path) -> None:
    """Write the names of the threads that the operating system knows, where it is Linux."""
    names = [thread.read_text() for thread in Path("/proc/self/task").glob("*/comm")]
    file.write_text("".join(names), encoding="utf-8")


def main() -> None:
    zoo.register(TASK, TOKENS, UNWEIGHTED, SIGNALLED)
    if sys.argv[1].endswith(".json"):
        for training in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
            train(**training)
        write_threads(Path(f"{sys.argv[1]}.{RANK}.threads"))
        return
    if described := os.environ.get("SEND"):
        name, where, call = described.split()
        set_signal(name, where, int(call))
    command()


if __name__ == "__main__":
    main()
