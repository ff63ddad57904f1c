"""``zoo predict``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

import click

from zoo.cli import completion, options
from zoo.cli.terminal import one_line, width
from zoo.errors import DataError, UsageError

if TYPE_CHECKING:
    from zoo.interfaces import Prediction
    from zoo.trained import TrainedModel


@click.command(
    epilog="""\b
Examples:
  zoo predict imdb.safetensors "A film to remember." "Two hours I want back."
  zoo predict imdb.safetensors --json < reviews.txt

Texts come from the arguments, or else one a line from stdin, however many there are. On a
terminal long texts are cut to its width.
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
    from zoo.interfaces import HasKnown

    # Each thread predicts texts of its own: faster than several threads for one text.
    set_up_process(threads=1)
    failures: list[DataError] = []
    unknown, says_known = 0, None
    model = load(file, device)
    for prediction in _predictions(model, text, failures, threads or num_processors()):
        if says_known is None:  # All predictions of a model are of one kind.
            says_known = isinstance(prediction, HasKnown)
        if says_known and cast("HasKnown", prediction).known == 0:
            unknown += 1
        # Not by click.echo, which flushes every line.
        if as_json:
            line = json.dumps(asdict(prediction), ensure_ascii=False)
        elif sys.stdout.isatty():
            line = one_line(str(prediction), width())
        else:
            line = str(prediction)
        sys.stdout.write(f"{line}\n")
    if unknown:
        what = "1 text has" if unknown == 1 else f"{unknown:,} texts have"
        click.echo(
            f"warning: {what} nothing that the training knew: the answer says nothing about "
            "what was asked",
            err=True,
        )
    if failures:
        raise failures[0]


def _predictions(
    model: TrainedModel, text: tuple[str, ...], failures: list[DataError], threads: int
) -> Iterator[Prediction]:
    """Yield predictions; of lines that are typed, each before the next line is read."""
    if text or not (sys.stdin and sys.stdin.isatty()):
        yield from model.predict(text or read_lines(failures), threads=threads)
        return
    model.predict(())  # Before anything is asked for: it may be no model that predicts.
    for line in read_lines(failures):
        yield from model.predict([line])
        sys.stdout.flush()


def read_lines(failures: list[DataError]) -> Iterator[str]:
    """Yield the lines of stdin; one that is not UTF-8 ends them and is appended to ``failures``."""
    from zoo.data.text import decode

    if sys.stdin is None:
        raise UsageError("no text", fix="give it as an argument or on stdin")
    if sys.stdin.isatty():
        click.echo("waiting for texts, one a line; Ctrl-D ends", err=True)
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield decode(line, f"stdin, line {number}").rstrip("\r\n")
        except DataError as error:
            failures.append(error)
            return
