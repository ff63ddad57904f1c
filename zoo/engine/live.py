"""The display of a training on a terminal: a bar, the curves so far, and a line an evaluation."""

from __future__ import annotations

import io
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from zoo.display import unescaped
from zoo.engine.progress import describe_training, evaluation_columns, format_number, unseen
from zoo.errors import printable
from zoo.interfaces import Callback, Metrics

if TYPE_CHECKING:
    from zoo.engine.trainer import Trainer

_REFRESH = 0.1  # Seconds between two pictures.
_POINTS = 24  # Of a curve.
_BLOCKS = "▁▂▃▄▅▆▇█"


class LiveDisplay(Callback):
    """Shows steps, rate and time left, and the curves of the loss and the monitored metric."""

    def __init__(self) -> None:
        self._stderr = sys.stderr
        self._console = _Console(file=unescaped(sys.stderr), highlight=False)
        self._live: Live | None = None
        self._losses: list[float] = []
        self._scores: list[float] = []
        self._best = ""
        self._first_step = 0
        self._started = self._drawn = 0.0

    def on_train_begin(self, trainer: Trainer) -> None:
        for line in describe_training(trainer):
            self._print(line)
        self._first_step = trainer.state.step
        self._started = time.monotonic()
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        with unseen():
            self._live.start()
        self._stderr, sys.stderr = sys.stderr, _Above(self._print)
        self._draw(trainer)

    def on_step_end(self, trainer: Trainer) -> None:
        if time.monotonic() - self._drawn >= _REFRESH:
            self._draw(trainer)

    def on_log(self, trainer: Trainer, metrics: Metrics) -> None:
        del trainer
        self._losses.append(float(metrics["batch_loss"]))

    def on_evaluate(self, trainer: Trainer, metrics: Metrics) -> None:
        monitor = trainer.spec.task.monitor
        if not self._scores:
            self._print(Text(evaluation_columns(monitor), "dim"))
        self._scores.append(float(metrics[monitor]))
        row = evaluation_columns(monitor, trainer.state, metrics)
        if trainer.state.is_best:
            self._best = f"best {format_number(metrics[monitor])} at step {trainer.state.step:,}"
        self._print(Text(row, "bold" if trainer.state.is_best else ""))
        self._draw(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        del trainer
        self.close()

    def close(self) -> None:
        if self._live is not None:
            if isinstance(sys.stderr, _Above):
                sys.stderr.finish()
            sys.stderr = self._stderr
            with unseen():
                self._live.stop()
            self._live = None

    def _print(self, line: str | Text) -> None:
        with unseen():
            text = Text(printable(line)) if isinstance(line, str) else line
            self._console.print(text, soft_wrap=True)

    def _draw(self, trainer: Trainer) -> None:
        self._drawn = time.monotonic()
        if self._live is not None:
            with unseen():
                self._live.update(Group(self._bar(trainer), self._curves(trainer)), refresh=True)

    def _bar(self, trainer: Trainer) -> Table:
        """Return the bar with step, rate and time left."""
        state, total = trainer.state, trainer.total_steps
        rate = (state.step - self._first_step) / max(time.monotonic() - self._started, 1e-9)
        left = _duration((total - state.step) / rate) if rate else "-:--"
        row = Table.grid(padding=(0, 2), expand=True)
        for ratio in (1, None, None, None):
            row.add_column(ratio=ratio, no_wrap=True)
        row.add_row(
            ProgressBar(total=total, completed=state.step),
            f"step {state.step:,}/{total:,}",
            f"{rate:.1f} steps/s",
            f"{left} left",
        )
        return row

    def _curves(self, trainer: Trainer) -> Table:
        table = Table.grid(padding=(0, 2))
        monitor = trainer.spec.task.monitor.replace("_", " ")
        name = f"validation {monitor}"
        for label, values, note in (
            ("loss", self._losses, ""),
            (name, self._scores, self._best),
        ):
            if values:
                curve = Text(self._sparkline(values), "cyan")
                table.add_row(label, format_number(values[-1]), curve, Text(note, "green"))
        return table

    def _sparkline(self, values: Sequence[float]) -> str:
        return sparkline(values, _POINTS) if self._console.encoding.startswith("utf") else ""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on: rich would end the process."""


class _Above(io.TextIOBase):
    """A stderr whose lines are written above the display."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line
        self._rest = ""

    def write(self, text: str, /) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._write_line(line)
        return len(text)

    def finish(self) -> None:
        """Write the last line, if it does not end in a line break."""
        if self._rest:
            self._write_line(self._rest)
            self._rest = ""

    def isatty(self) -> bool:
        return True


def sparkline(values: Sequence[float], points: int) -> str:
    """Return a curve of block characters, from the smallest to the largest value.

    Args:
        values: At least one; those that are not finite are left out.
        points: How many characters it may have; more values are averaged in groups.
    """
    finite = [value for value in values if math.isfinite(value)]
    size = -(-len(finite) // points) or 1
    groups = [finite[at : at + size] for at in range(0, len(finite), size)]
    means = [sum(group) / len(group) for group in groups]
    if not means:
        return ""
    low, high = min(means), max(means)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((mean - low) * scale)] for mean in means)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
