"""``zoo export``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.output import warn_renamed

DTYPES = ("float32", "float16", "bfloat16")


@click.command(
    epilog="""\b
Examples:
  zoo export runs/imdb -o imdb.safetensors
  zoo export runs/book -o book.safetensors --dtype float16
"""
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.",
)
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    default="float32",
    show_default=True,
    help="How weights are stored; 16 bits halve the file, and are refused where outputs change.",
)
@click.option("--storage", type=click.Choice(DTYPES), hidden=True, help="The name of 0.1.")
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
def command(run: Path, output: Path, dtype: str, storage: str | None, force: bool) -> None:
    """Write the weights of a run as one self-describing file.

    RUN is a run directory; the file is a safetensors file.
    """
    from zoo.api import export

    if storage:
        warn_renamed("--storage", "--dtype")
    export(run, output, dtype=storage or dtype, overwrite=force)
    click.echo(str(output))
