"""``zoo predict``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

import click

from zoo.cli import options


@click.command(
    epilog="""\b
Examples:
  zoo predict imdb.safetensors "A film to remember." "Two hours I want back."
  zoo predict imdb.safetensors --json < reviews.txt

Texts come from the arguments, or else one a line from stdin, however many there are.
"""
)
@click.argument("file")
@click.argument("text", nargs=-1)
@options.device
@options.threads
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(file: str, text: tuple[str, ...], device: str, threads: int, as_json: bool) -> None:
    """Answer each TEXT with the network in FILE: a weights file, run directory or published run."""
    from zoo.api import load
    from zoo.engine.device import choose

    loaded = load(file, str(choose(device, threads)))
    for prediction in loaded.predict(text or _lines()):
        if as_json:
            click.echo(json.dumps(asdict(prediction), ensure_ascii=False))
        else:
            click.echo(f"{prediction.label}\t{prediction.probability:.4f}\t{prediction.text}")


def _lines() -> Iterator[str]:
    from zoo.data.text import decode

    offset = 0
    for line in sys.stdin.buffer:
        yield decode(line, f"stdin from offset {offset}").rstrip("\r\n")
        offset += len(line)
