"""``zoo embed``."""

from __future__ import annotations

import io
from pathlib import Path

import click

from zoo.cli import completion, options
from zoo.cli.lines import Lines
from zoo.cli.loading import load_model
from zoo.files import refuse_existing, write_atomically


@click.command(
    epilog="""\b
Examples:
  zoo embed imdb-bilstm -o vectors.npy < reviews.txt
  zoo embed imdb-bilstm "A film to remember." -o vectors.npy

Texts come from the arguments, or else one a line from stdin. Read the file with numpy.load.
"""
)
@click.argument("file", shell_complete=completion.weights)
@click.argument("text", nargs=-1)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The .npy file to write: float32, a row for each text.",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@options.device
@options.threads
def command(
    file: str, text: tuple[str, ...], output: Path, force: bool, device: str, threads: int
) -> None:
    """Write a vector for each text into a NumPy file.

    FILE is a weights file, a run directory or a recipe with weights.
    """
    if not force:
        refuse_existing(output)
    model = load_model(file, device, threads)
    import numpy as np

    texts = text or Lines()
    vectors = model.embed(texts)
    if isinstance(texts, Lines) and texts.failure:
        raise texts.failure
    buffer = io.BytesIO()
    np.save(buffer, vectors, allow_pickle=False)
    write_atomically(output, buffer.getvalue())
    click.echo(str(output))
