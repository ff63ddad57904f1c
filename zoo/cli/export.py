"""``zoo export``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  zoo export runs/imdb -o imdb.safetensors
  zoo export runs/book -o book.safetensors --storage float16
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
    "--storage",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    default="float32",
    show_default=True,
    help="How weights are stored; 16 bits halve the file, and are refused where answers change.",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
def command(run: Path, output: Path, storage: str, force: bool) -> None:
    """Write the kept weights of a RUN directory as one self-describing safetensors file."""
    from zoo.api import locate_weights
    from zoo.catalog import Catalog
    from zoo.engine.rundir import RunDirectory, read_json
    from zoo.errors import UsageError
    from zoo.registry import Registry
    from zoo.weights.file import read
    from zoo.weights.network import build, save

    directory = RunDirectory(run)
    directory.read_config()
    if output.exists() and not force:
        raise UsageError("file exists", where=str(output), fix="add --force to overwrite it")
    found = read(locate_weights(run, Catalog(Path())))
    task, network = build(found, Registry.installed())
    metrics = dict(found.header["metrics"])
    if directory.evaluations.exists():
        metrics |= read_json(directory.evaluations)
    header = {**found.header, "metrics": metrics}
    save(output, network, task, header, storage)
    click.echo(str(output))
