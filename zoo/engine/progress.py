"""What a person sees of a training: a progress bar on a terminal or in a notebook, else lines.

A training does not end because nobody sees it: a stderr that was closed is written to no more.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from zoo.interfaces import Batch, Callback, Metrics

if TYPE_CHECKING:
    from zoo.engine.state import TrainState
    from zoo.engine.trainer import Trainer

_LAYOUT = "{percentage:3.0f}% |{bar}| {elapsed} elapsed, {remaining} left{postfix}"


class ProgressDisplay(Callback):
    """Shows the data, the steps as a bar with rate and time left, and a line an evaluation."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._first_step = 0
        self._loss = ""

    def close(self) -> None:
        if self._bar is not None:
            with _unseen():
                self._bar.close()

    def on_train_begin(self, trainer: Trainer) -> None:
        count = sum(p.numel() for p in trainer.network.parameters())
        splits = trainer.data.splits.items()
        parts = ", ".join(f"{name} {split.num_examples:,}" for name, split in splits)
        say(f"data: {trainer.data.summary} ({parts})", *trainer.data.notes)
        say(f"network: {count:,} parameters")
        self._first_step = trainer.state.step
        in_notebook = any(base.__name__ == "tqdm_notebook" for base in tqdm.__mro__)
        with _unseen():
            if in_notebook or (sys.stderr is not None and sys.stderr.isatty()):
                self._bar = tqdm(
                    total=trainer.total_steps, initial=trainer.state.step, bar_format=_LAYOUT,
                    file=sys.stderr, leave=False,
                )  # fmt: skip
                # The rate is that of this process, whatever was trained before a resume.
                self._bar.start_t = time.time()

    def on_step_end(self, trainer: Trainer) -> None:
        if self._bar is None:
            return
        self._bar.n = trainer.state.step
        seconds = max(self._bar.format_dict["elapsed"], 1e-9)
        rate = (trainer.state.step - self._first_step) / seconds
        text = f"step {trainer.state.step}, {rate:.1f} steps/s{self._loss}"
        with _unseen():
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(0)

    def on_log(self, trainer: Trainer, metrics: Metrics) -> None:
        del trainer
        self._loss = f", loss {metrics['batch_loss']:.4f}"

    def on_evaluate(self, trainer: Trainer, metrics: Metrics) -> None:
        if self._bar is not None:
            with _unseen():
                self._bar.clear()
        width = shutil.get_terminal_size().columns
        say(format_evaluation(trainer.state, metrics, trainer.spec.task.monitor, width))


def format_evaluation(state: TrainState, metrics: Metrics, monitor: str, width: int) -> str:
    """Return one line on an evaluation: where the training is, the monitored metric and the loss.

    Args:
        state: Where the training is; an asterisk marks the best evaluation so far.
        metrics: What was measured.
        monitor: The metric by which the best weights are chosen.
        width: How many characters the line may have. The loss, and then the interval, are left out
            where they would not fit.
    """
    head = f"epoch {state.epoch}, step {state.step}, {state.seconds:.0f} s: "
    mark = " *" if state.is_best else ""
    score = f"{monitor.replace('_', ' ')} {_number(metrics[monitor])}"
    interval = _format_interval(metrics, monitor)
    loss = (
        "" if monitor == "loss" or "loss" not in metrics else ", loss " + _number(metrics["loss"])
    )
    lines = [head + score + interval + loss, head + score + interval, head + score]
    return next((line for line in lines if len(line + mark) <= width), lines[-1]) + mark


def _format_interval(metrics: Metrics, name: str) -> str:
    if f"{name}_low" not in metrics:
        return ""
    return f" ({_number(metrics[f'{name}_low'])} to {_number(metrics[f'{name}_high'])})"


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def progress_bar(batches: Sequence[Batch]) -> Iterable[Batch]:
    """Show how far a pass over batches is, with rate and time left; nothing on a pipe."""
    bar: Any = None
    if sys.stderr is not None:
        with _unseen():
            bar = tqdm(total=len(batches), unit="batch", file=sys.stderr, disable=None, leave=False)
    for batch in batches:
        yield batch
        if bar is not None:
            with _unseen():
                bar.update()
    if bar is not None:
        with _unseen():
            bar.close()


def say(*lines: str) -> None:
    """Print lines to stderr."""
    if sys.stderr is not None:
        with _unseen():
            sys.stderr.write("".join(f"{line}\n" for line in lines))


def _unseen() -> contextlib.suppress:
    """Go on where stderr cannot be written to: its reader has ended, or it was closed."""
    return contextlib.suppress(OSError, ValueError)
