"""What torchrun starts in the tests: trainings in turn, as a JSON file lists them.

A training is an object with the arguments of ``zoo.train``. ``resume`` continues its run,
``stop_after`` stops it in the main process; ``dies_at``, ``interrupted_at`` and
``interrupted_in_evaluation`` have process 1 send itself a signal, at a step of the first attempt.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conftest import StopAfter
from sum_task import TASK
from token_task import TOKENS, UNWEIGHTED, Tokens
from torch import nn

import zoo
from zoo.interfaces import Batch, State, Step

RANK = int(os.environ.get("RANK", "0"))
signals: dict[str, Any] = {}


class Signalled(Tokens):
    """Process 1 sends itself a signal; steps of training and batches of evaluation are counted."""

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.calls = {True: 0, False: 0}

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        self.calls[network.training] += 1
        number, training, at = signals.get("send", (0, True, 0))
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
        if RANK == 1 and first and network.training == training and self.calls[training] == at:
            os.kill(os.getpid(), number)
        return super().step(network, batch, state)


class Slow(zoo.Callback):
    """Takes part in the main process alone, and says so."""

    def on_train_begin(self, trainer: Any) -> None:
        assert RANK == 0


def _send(training: dict[str, Any]) -> Iterator[tuple[int, bool, int]]:
    if at := training.pop("dies_at", 0):
        yield signal.SIGKILL, True, at
    if at := training.pop("interrupted_at", 0):
        yield signal.SIGTERM, True, at
    if at := training.pop("interrupted_in_evaluation", 0):
        yield signal.SIGINT, False, at


def train(training: dict[str, Any]) -> zoo.Run:
    signals["send"] = next(_send(training), (0, True, 0))
    callbacks: list[zoo.Callback] = [Slow()]
    if steps := training.pop("stop_after", 0):
        callbacks.append(StopAfter(steps))
    common = {"progress": False, "threads": 1, "device": "cpu", "callbacks": callbacks}
    if training.pop("resume", False):
        return zoo.resume(training.pop("out"), **training, **common)
    return zoo.train(training.pop("name"), **training, **common)


def main() -> None:
    zoo.register(
        TASK, TOKENS, UNWEIGHTED,
        zoo.TaskInfo(
            name="signalled", summary="Add numbers", target=Signalled, options=TOKENS.options,
            monitor="loss", higher_is_better=False,
        ),
    )  # fmt: skip
    for training in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        train(training)


if __name__ == "__main__":
    main()
