"""What a person sees while a training runs: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

if TYPE_CHECKING:
    from torch import nn

    from zoo.engine.checkpoint import Position
    from zoo.interfaces import Batch, Data

_HIDDEN = {"kind", "labels", "confusion", "examples", "step", "epoch", "seconds", "best"}


class Progress:
    """Shows steps as a bar with rate and time left, and each evaluation as a line."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None
        self.first: int | None = None
        self.scored = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def prepared(self, data: Data, network: nn.Module) -> None:
        """Say what is about to be trained on what."""
        count = sum(p.numel() for p in network.parameters())
        self.scored = data.splits["validation"].examples
        parts = ", ".join(f"{name} {split.examples:,}" for name, split in data.splits.items())
        click.echo(f"data: {data.summary} ({parts})", err=True)
        click.echo(f"network: {count:,} parameters", err=True)
        if sys.stderr.isatty():
            layout = "{percentage:3.0f}% |{bar}| {elapsed} elapsed, {remaining} left{postfix}"
            self.bar = tqdm(total=1.0, bar_format=layout, file=sys.stderr, leave=False)

    def on_step(self, progress: float, position: Position, loss: float) -> None:
        if self.bar is None:
            return
        if self.first is None:
            # Of this sitting: what was done before a resume is no measure of what is left.
            self.first = position.step
            self.bar.initial = progress
            self.bar.start_t = time.time()
        self.bar.n = progress
        rate = (position.step - self.first) / max(self.bar.format_dict["elapsed"], 1e-9)
        self.bar.set_postfix_str(
            f"step {position.step}, {rate:.1f} steps/s, loss {loss:.4f}", refresh=False
        )
        self.bar.update(0)

    def on_evaluation(self, line: Mapping[str, Any]) -> None:
        shown = []
        for key, value in line.items():
            if (
                isinstance(value, float)
                and key not in _HIDDEN
                and not key.endswith(("low", "high"))
            ):
                text = f"{key.replace('_', ' ')} {value:.4f}"
                if f"{key}_low" in line:
                    text += f" ({line[f'{key}_low']:.4f} to {line[f'{key}_high']:.4f})"
                shown.append(text)
        mark = " *" if line["best"] else ""
        text = (
            f"epoch {line['epoch']}, step {line['step']}, {line['seconds']:.0f} s, "
            f"{self.scored:,} of validation: {', '.join(shown)}{mark}"
        )
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        else:
            click.echo(text, err=True)


def watched(batches: Sequence[Batch]) -> Iterable[Batch]:
    """Show how far a pass over batches has come, with rate and time left; nothing on a pipe."""
    bar: Iterable[Batch] = tqdm(batches, unit="batch", file=sys.stderr, disable=None, leave=False)
    return bar
