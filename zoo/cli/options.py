"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

data: Decorator = click.option(
    "--data",
    default="",
    type=click.Path(),
    metavar="PATH",
    help="A path or the name of a data set; `sample` is built in.",
)
device: Decorator = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute.",
)
threads: Decorator = click.option(
    "--threads", type=click.IntRange(0, 1024), default=0, help="Threads; 0: all processors."
)
as_json: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
