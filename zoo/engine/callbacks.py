"""The callbacks of every training: metrics log, saved weights, early stopping, signals."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from zoo.errors import WeightsError
from zoo.interfaces import Callback, Metrics
from zoo.weights import writer

if TYPE_CHECKING:
    from zoo.engine.trainer import Trainer


class MetricsLog(Callback):
    """Appends training and validation metrics to ``metrics.jsonl``."""

    def on_log(self, trainer: Trainer, metrics: Metrics) -> None:
        trainer.directory.log({**_where("train", trainer), **metrics})

    def on_evaluate(self, trainer: Trainer, metrics: Metrics) -> None:
        line = {**_where("evaluation", trainer), **metrics, "best": trainer.state.is_best}
        trainer.directory.log(line)


def _where(kind: str, trainer: Trainer) -> dict[str, Any]:
    state = trainer.state
    seconds = round(state.seconds, 3)
    return {"kind": kind, "step": state.step, "epoch": state.epoch, "seconds": seconds}


class SaveWeights(Callback):
    """Writes the weights file of a run: the best weights, or with ``selection=last`` the last.

    Args:
        header: What the weights file says apart from its metrics.
    """

    def __init__(self, header: Mapping[str, Any]) -> None:
        self.header = header

    def on_evaluate(self, trainer: Trainer, metrics: Metrics) -> None:
        if not (trainer.state.is_best or trainer.spec.training.selection == "last"):
            return
        self._save(trainer, metrics)

    def restore(self, trainer: Trainer) -> None:
        """Write the weights of a resumed run again where they are missing.

        Raises:
            WeightsError: They are not those of the checkpoint.
        """
        state, directory = trainer.state, trainer.directory
        if state.best is None or directory.weights.exists():
            return
        selection = trainer.spec.training.selection
        if selection == "last" and not state.done:
            return  # The next evaluation saves them.
        evaluations = [
            line
            for line in directory.read_metrics()
            if line["kind"] == "evaluation" and line["step"] == state.step
        ]
        if not evaluations or not (state.is_best or selection == "last"):
            raise WeightsError(
                "the weights of the run are missing",
                where=str(directory.weights),
                why=f"they were those of an earlier step than {state.step:,}, which the "
                "checkpoint has",
                fix="put the file back, or start again in another --out",
            )
        about = {*_where("", trainer), "best"}
        self._save(trainer, {k: v for k, v in evaluations[-1].items() if k not in about})

    def _save(self, trainer: Trainer, metrics: Metrics) -> None:
        position = {"epoch": trainer.state.epoch, "step": trainer.state.step}
        header = {**self.header, "metrics": {"validation": {**metrics, **position}}}
        writer.save(trainer.directory.weights, trainer.eval_network, trainer.task, header)


class EarlyStopping(Callback):
    """Completes a training that has not improved for ``patience`` evaluations."""

    def on_evaluate(self, trainer: Trainer, metrics: Metrics) -> None:
        del metrics
        patience = trainer.spec.training.patience
        if patience and trainer.state.evaluations_since_best >= patience:
            best = _best_step(trainer)
            where = f"; the best was at step {best}" if best else ""
            trainer.stop(f"no improvement in {patience} evaluations{where}", complete=True)


def _best_step(trainer: Trainer) -> int:
    """Return the step of the first evaluation that was best; 0 where the log does not have it."""
    task = trainer.spec.task
    lines = [
        line
        for line in trainer.directory.read_metrics()
        if line["kind"] == "evaluation" and task.monitor in line
    ]
    if not lines:
        return 0
    choose = max if task.higher_is_better else min
    return int(choose(lines, key=lambda line: float(line[task.monitor]))["step"])


class StopOnSignal(Callback):
    """Stops a training on the first Ctrl-C or SIGTERM, with a checkpoint.

    A step is completed; an evaluation, and what is compiled before the first step, is left out
    and done again when the run is resumed. The second signal ends the process at once, as it would
    without this callback. Signals can be handled in the main thread only; in any other thread
    nothing is changed.
    """

    def __init__(self) -> None:
        self._trainer: Trainer | None = None
        self._previous: dict[int, Any] = {}

    def on_train_begin(self, trainer: Trainer) -> None:
        self._trainer = trainer
        if threading.current_thread() is threading.main_thread():
            for number in (int(signal.SIGINT), int(signal.SIGTERM)):
                # One that is ignored, as by a job in the background, stays ignored.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._note)

    def on_train_end(self, trainer: Trainer) -> None:
        del trainer
        self.close()  # What follows ends at the first signal.

    def close(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        signal.signal(number, self._previous[number])
        assert self._trainer is not None
        if self._trainer.processes.is_main:
            # Not through sys.stderr: the signal may have come while it was written to.
            with contextlib.suppress(OSError):
                os.write(2, b"stopping after this step; interrupt again to stop at once\n")
        self._trainer.interrupt()
