"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from zoo.cli import completion
from zoo.values import LARGEST_SEED

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

data: Decorator = click.option(
    "--data",
    default="",
    type=click.Path(),
    metavar="PATH",
    help="A file or folder, a pattern or URL of shards, the name of a data set, or `sample`.",
)
device: Decorator = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ..."
)
threads: Decorator = click.option(
    "--threads",
    type=click.IntRange(0, 256),
    default=0,
    show_default=True,
    help="Number of threads; 0: one for each processor.",
)
SEEDS = click.IntRange(0, LARGEST_SEED)
metrics: Decorator = click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    shell_complete=completion.metrics,
    help="Also compute this metric.",
)
as_json: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
