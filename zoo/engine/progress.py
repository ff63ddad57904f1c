"""What a person sees of a training: a progress bar on a terminal or in a notebook, else lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from zoo.interfaces import Batch, Callback, Metrics

if TYPE_CHECKING:
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
            self._bar.close()

    def on_train_begin(self, trainer: Trainer) -> None:
        count = sum(p.numel() for p in trainer.network.parameters())
        splits = trainer.data.splits.items()
        parts = ", ".join(f"{name} {split.num_examples:,}" for name, split in splits)
        _write(f"data: {trainer.data.summary} ({parts})")
        _write(f"network: {count:,} parameters")
        self._first_step = trainer.state.step
        in_notebook = any(base.__name__ == "tqdm_notebook" for base in tqdm.__mro__)
        if sys.stderr.isatty() or in_notebook:
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
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(0)

    def on_log(self, trainer: Trainer, metrics: Metrics) -> None:
        del trainer
        self._loss = f", loss {metrics['batch_loss']:.4f}"

    def on_evaluate(self, trainer: Trainer, metrics: Metrics) -> None:
        state = trainer.state
        examples = trainer.data.splits["validation"].num_examples
        mark = " *" if state.is_best else ""
        text = (
            f"epoch {state.epoch}, step {state.step}, {state.seconds:.0f} s, "
            f"{examples:,} of validation: {format_metrics(metrics)}{mark}"
        )
        if self._bar is not None:
            self._bar.clear()
        _write(text)


def format_metrics(metrics: Metrics) -> str:
    """Return the fractional metrics in one line, each with its 95 % interval where it has one."""
    shown = []
    for key, value in metrics.items():
        if not isinstance(value, float) or key.endswith(("_low", "_high")):
            continue
        text = f"{key.replace('_', ' ')} {value:.4f}"
        if f"{key}_low" in metrics:
            text += f" ({metrics[f'{key}_low']:.4f} to {metrics[f'{key}_high']:.4f})"
        shown.append(text)
    return ", ".join(shown)


def progress_bar(batches: Sequence[Batch]) -> Iterable[Batch]:
    """Show how far a pass over batches is, with rate and time left; nothing on a pipe."""
    bar: Iterable[Batch] = tqdm(batches, unit="batch", file=sys.stderr, disable=None, leave=False)
    return bar


def _write(text: str) -> None:
    sys.stderr.write(f"{text}\n")
