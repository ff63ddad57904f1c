"""``zoo predict``."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from zoo.cli import completion, options
from zoo.cli.lines import Lines
from zoo.cli.loading import load_model
from zoo.cli.terminal import one_line, width
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.runtime import InferenceModel


@click.command(
    epilog="""\b
Examples:
  zoo predict imdb.safetensors "A film to remember." "Two hours I want back."
  zoo predict imdb.safetensors --json < reviews.txt
  zoo predict imdb.safetensors -i reviews.parquet -o answers.parquet
  zoo predict imdb.safetensors -i reviews/ -o answers/ --text-column body

Texts come from the arguments, or else one a line from stdin, however many there are; each is
answered when no further one is waiting. A line of more than 16 MiB is refused. On a terminal long
texts are cut to its width.

Of a Parquet file all columns are kept, and those of the answers added. Several files, in a folder
or of a pattern such as 'reviews/*.parquet', are written into a folder under their own names.
"""
)
@click.argument("file", shell_complete=completion.weights)
@click.argument("text", nargs=-1)
@click.option(
    "-i",
    "--input",
    "source",
    type=click.Path(),
    help="A Parquet file with a column of texts; a folder or a pattern of several.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The Parquet file to write; of several the folder.",
)
@click.option(
    "--text-column",
    default="",
    metavar="NAME",
    help="The column of the texts, by default that of the training, `text`, or the only one of "
    "strings.",
)
@click.option(
    "--prefix", default="", help="Put before the names of the added columns: `predicted_`."
)
@click.option("--force", is_flag=True, help="Overwrite Parquet files that exist.")
@options.device
@options.threads
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    file: str,
    text: tuple[str, ...],
    source: str | None,
    output: Path | None,
    text_column: str,
    prefix: str,
    force: bool,
    device: str,
    threads: int,
    as_json: bool,
) -> None:
    """Predict texts with trained weights.

    FILE is a weights file, a run directory or a recipe with weights.
    """
    if (source is None) != (output is None):
        raise UsageError("-i and -o go together", why="both name Parquet files")
    if source is None and (text_column or prefix or force):
        raise UsageError("--text-column, --prefix and --force go with -i and -o")
    if source is not None and (text or as_json):
        raise UsageError("with -i there is neither TEXT nor --json")
    # Each thread predicts texts of its own: faster than several threads for one text.
    model = load_model(file, device, threads=1)
    from zoo.environment import num_processors

    threads = threads or num_processors()
    if source is None or output is None:
        _predict_texts(model, text, threads, as_json=as_json)
        return

    from zoo.api import predict_parquet

    shown = sys.stderr.isatty()
    try:
        predicted = predict_parquet(
            model, source, output, text_column=text_column, prefix=prefix, threads=threads,
            overwrite=force, progress=_show_rows if shown else lambda done, rows: None,
        )  # fmt: skip
    finally:
        click.echo(err=True, nl=shown)
    _warn_of_unknown(predicted.unknown)
    for path in predicted.paths:
        click.echo(str(path))


def _show_rows(done: int, rows: int) -> None:
    """Show on a terminal how many rows are predicted."""
    click.echo(f"\r{done:,} of {rows:,} texts", err=True, nl=False)


def _predict_texts(
    model: InferenceModel, text: tuple[str, ...], threads: int, *, as_json: bool
) -> None:
    """Print the predictions of arguments, or of the lines of stdin."""
    from zoo.interfaces import HasKnown

    unknown, says_known = 0, None
    model.predict(())  # Before anything is asked for: it may be no model that predicts.
    if len(text) == 1 and os.path.isfile(text[0]):  # noqa: PTH113 - of any text, however long
        message = f"warning: {text[0]!r} is a file; its name is predicted, not its lines (use <)"
        click.echo(message, err=True)
    texts = text or Lines()
    for prediction in model.predict(texts, threads=threads):
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
    _warn_of_unknown(unknown)
    if isinstance(texts, Lines) and texts.failure:
        raise texts.failure


def _warn_of_unknown(texts: int) -> None:
    """Warn of texts of which the training knew nothing."""
    if not texts:
        return
    what = "1 text has" if texts == 1 else f"{texts:,} texts have"
    click.echo(
        f"warning: {what} nothing that the training knew: the answer says nothing about what was "
        "asked",
        err=True,
    )
