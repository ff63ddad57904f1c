"""What a person sees of a training: lines, and a bar in a notebook; `live` is for terminals.

A training does not end because nobody sees it: a stderr that was closed is written to no more.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from zoo.interfaces import Batch, Callback, Metrics

if TYPE_CHECKING:
    from zoo.engine.evaluation import Progress
    from zoo.engine.state import TrainState
    from zoo.engine.trainer import Trainer


class ProgressLines(Callback):
    """Writes a line on the data, on the network and on every evaluation."""

    def on_train_begin(self, trainer: Trainer) -> None:
        say(*describe_training(trainer))

    def on_evaluate(self, trainer: Trainer, metrics: Metrics) -> None:
        width = shutil.get_terminal_size().columns
        say(format_evaluation(trainer.state, metrics, trainer.spec.task.monitor, width))


class ProgressBar(ProgressLines):
    """Shows the steps as a bar of a notebook, with rate and time left, beside the lines."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._loss = ""

    def close(self) -> None:
        if self._bar is not None:
            with unseen():
                self._bar.close()

    def on_train_begin(self, trainer: Trainer) -> None:
        super().on_train_begin(trainer)
        with unseen():
            self._bar = tqdm(
                total=trainer.total_steps, initial=trainer.state.step, file=sys.stderr, leave=False,
                unit="step",
            )  # fmt: skip

    def on_step_end(self, trainer: Trainer) -> None:
        with unseen():
            self._bar.set_postfix_str(self._loss, refresh=False)
            self._bar.update(trainer.state.step - self._bar.n)

    def on_log(self, trainer: Trainer, metrics: Metrics) -> None:
        del trainer
        self._loss = f"loss {metrics['batch_loss']:.4f}"


def make_display() -> Callback:
    """Return what shows a training where it runs: on a terminal, in a notebook or on a pipe."""
    if any(base.__name__ == "tqdm_notebook" for base in tqdm.__mro__):
        return ProgressBar()
    if sys.stderr is not None and sys.stderr.isatty():
        from zoo.engine.live import LiveDisplay  # rich takes a moment to import.

        return LiveDisplay()
    return ProgressLines()


def describe_training(trainer: Trainer) -> list[str]:
    """Return lines on the data and the network of a training."""
    count = sum(p.numel() for p in trainer.network.parameters())
    splits = trainer.data.splits.items()
    parts = ", ".join(f"{name} {split.num_examples:,}" for name, split in splits)
    return [
        f"data: {trainer.data.summary} ({parts})",
        *trainer.data.notes,
        f"network: {count:,} parameters",
    ]


def evaluation_columns(
    monitor: str, state: TrainState | None = None, metrics: Metrics | None = None
) -> str:
    """Return an evaluation in columns of a fixed width, or the head of the columns.

    Args:
        monitor: The metric by which the best weights are chosen.
        state: Where the training is; None for the head.
        metrics: What was measured; None for the head.
    """
    if state is None or metrics is None:
        cells = ["epoch", "step", "time", monitor.replace("_", " "), "95 %", "loss", ""]
    else:
        interval = _format_interval(metrics, monitor).strip(" ()")
        loss = format_number(metrics["loss"]) if "loss" in metrics and monitor != "loss" else ""
        cells = [
            f"{state.epoch}", f"{state.step:,}", f"{state.seconds:.0f} s",
            format_number(metrics[monitor]), interval, loss, "best" if state.is_best else "",
        ]  # fmt: skip
    widths = (5, 8, 7, max(10, len(monitor)), 18, 8)
    return "  ".join([*(f"{c:>{w}}" for c, w in zip(cells, widths, strict=False)), cells[-1]])


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
    score = f"{monitor.replace('_', ' ')} {format_number(metrics[monitor])}"
    interval = _format_interval(metrics, monitor)
    has_loss = monitor != "loss" and "loss" in metrics
    loss = f", loss {format_number(metrics['loss'])}" if has_loss else ""
    lines = [head + score + interval + loss, head + score + interval, head + score]
    return next((line for line in lines if len(line + mark) <= width), lines[-1]) + mark


def _format_interval(metrics: Metrics, name: str) -> str:
    if f"{name}_low" not in metrics:
        return ""
    return f" ({format_number(metrics[f'{name}_low'])} to {format_number(metrics[f'{name}_high'])})"


def format_number(value: float) -> str:
    """Return four decimals; of large numbers one."""
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def progress_bar(batches: Sequence[Batch], description: str = "") -> Iterable[Batch]:
    """Show how far a pass over batches is, with rate and time left; nothing on a pipe.

    Args:
        batches: They are yielded in turn.
        description: What they are of, such as ``test``; it is shown before the bar, which appears
            after a second.
    """
    bar: Any = None
    if sys.stderr is not None:
        with unseen():
            bar = tqdm(
                desc=description, total=len(batches), unit="batch", file=sys.stderr, disable=None,
                leave=False, delay=1,
            )  # fmt: skip
    for batch in batches:
        yield batch
        if bar is not None:
            with unseen():
                bar.update()
    if bar is not None:
        with unseen():
            bar.close()


def evaluation_progress(split: str, *, shown: bool) -> Progress:
    """Return what goes through the batches of an evaluation: a bar, or nothing else."""
    return partial(progress_bar, description=split) if shown else (lambda batches: batches)


@contextlib.contextmanager
def showing_log() -> Iterator[None]:
    """Say what is logged to the logger ``zoo``, such as that something is compiled."""
    logger, handler = logging.getLogger("zoo"), _Handler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def say(*lines: str) -> None:
    """Print lines to stderr."""
    if sys.stderr is not None:
        with unseen():
            sys.stderr.write("".join(f"{line}\n" for line in lines))


def unseen() -> contextlib.suppress:
    """Go on where stderr cannot be written to: its reader has ended, or it was closed."""
    return contextlib.suppress(OSError, ValueError)
