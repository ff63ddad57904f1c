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
    """Answer each TEXT with the network in FILE: a weights file, run directory or published run."""
    from zoo.api import load
    from zoo.engine.device import choose, processors

    # Threads share the texts, not the arithmetic of each: that leaves nobody waiting.
    loaded = load(file, str(choose(device, threads=1)))
    failures: list[DataError] = []
    answers = loaded.predict(text or _lines(failures), threads=threads or processors())
    # Not by click.echo, which hands every line to the system by itself.
    out = sys.stdout
    for answer in answers:
        if as_json:
            out.write(json.dumps(asdict(answer), ensure_ascii=False) + "\n")
        else:
            shown = " ".join(answer.text.splitlines())
            out.write(f"{answer.label}\t{answer.probability:.4f}\t{shown}\n")
    if failures:
        raise failures[0]


def _lines(failures: list[DataError]) -> Iterator[str]:
    """Yield the lines of stdin up to one that is no text, which is told once those are answered."""
    from zoo.data.text import decode

    if sys.stdin is None:
        raise UsageError("no text", fix="give it as an argument or on stdin")
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield decode(line, f"stdin, line {number}").rstrip("\r\n")
        except DataError as error:
            failures.append(error)
            return
