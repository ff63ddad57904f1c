"""``zoo predict``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import cast

import click

from zoo.cli import completion, options
from zoo.cli.lines import Lines
from zoo.cli.loading import load_model
from zoo.cli.terminal import one_line, width


@click.command(
    epilog="""\b
Examples:
  zoo predict imdb.safetensors "A film to remember." "Two hours I want back."
  zoo predict imdb.safetensors --json < reviews.txt

Texts come from the arguments, or else one a line from stdin, however many there are; each is
answered when no further one is waiting. A line of more than 16 MiB is refused. On a terminal long
texts are cut to its width.
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
    # Each thread predicts texts of its own: faster than several threads for one text.
    model = load_model(file, device, threads=1)
    from zoo.environment import num_processors
    from zoo.interfaces import HasKnown

    unknown, says_known = 0, None
    model.predict(())  # Before anything is asked for: it may be no model that predicts.
    texts = text or Lines()
    for prediction in model.predict(texts, threads=threads or num_processors()):
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
    if isinstance(texts, Lines) and texts.failure:
        raise texts.failure
