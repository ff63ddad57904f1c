"""``zoo predict``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

import click

from zoo.cli import completion, options
from zoo.errors import DataError, UsageError


@click.command(
    epilog="""\b
Examples:
  zoo predict imdb.safetensors "A film to remember." "Two hours I want back."
  zoo predict imdb.safetensors --json < reviews.txt

Texts come from the arguments, or else one a line from stdin, however many there are.
"""
)
@click.argument("file", shell_complete=completion.weights)
@click.argument("text", nargs=-1)
@options.device
@options.threads
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(file: str, text: tuple[str, ...], device: str, threads: int, as_json: bool) -> None:
    """Predict texts with trained weights.

    FILE is a weights file, a run directory or a recipe with weights.
    """
    from zoo.api import load
    from zoo.environment import num_processors, set_up_process

    # Each thread predicts texts of its own: faster than several threads for one text.
    set_up_process(threads=1)
    failures: list[DataError] = []
    model = load(file, device)
    predictions = model.predict(text or read_lines(failures), threads=threads or num_processors())
    # Not by click.echo, which flushes every line.
    for prediction in predictions:
        line = json.dumps(asdict(prediction), ensure_ascii=False) if as_json else str(prediction)
        sys.stdout.write(f"{line}\n")
    if failures:
        raise failures[0]


def read_lines(failures: list[DataError]) -> Iterator[str]:
    """Yield the lines of stdin; one that is not UTF-8 ends them and is appended to ``failures``."""
    from zoo.data.text import decode

    if sys.stdin is None:
        raise UsageError("no text", fix="give it as an argument or on stdin")
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield decode(line, f"stdin, line {number}").rstrip("\r\n")
        except DataError as error:
            failures.append(error)
            return
