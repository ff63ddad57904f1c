"""``zoo evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import completion, options
from zoo.cli.output import echo_json, echo_metrics


@click.command(
    epilog="""\b
Examples:
  zoo evaluate runs/imdb
  zoo evaluate imdb.safetensors --data aclImdb_v1.tar.gz --split test
  zoo evaluate runs/book --split validation --json

The data is that of the training unless --data names another. For a run directory, what was
measured is kept there and travels with `zoo export`.
"""
)
@click.argument("run_or_file", shell_complete=completion.weights)
@options.data
@click.option(
    "--split",
    default="test",
    show_default=True,
    help="Part of the data: train, validation, test or all.",
)
@click.option(
    "--shuffle-words",
    is_flag=True,
    help="Shuffle the words of each text first: what is lost is what order told.",
)
@options.device
@options.threads
@options.as_json
def command(
    run_or_file: str,
    data: str,
    split: str,
    shuffle_words: bool,
    device: str,
    threads: int,
    as_json: bool,
) -> None:
    """Score a run directory, a weights file or a published run on a part of some data."""
    from zoo import catalog as catalogs
    from zoo.api import locate_weights
    from zoo.cli.progress import watched
    from zoo.engine.device import choose
    from zoo.engine.rundir import RunDirectory
    from zoo.engine.session import run_evaluation
    from zoo.errors import DiskError
    from zoo.registry import Registry
    from zoo.weights.file import read
    from zoo.weights.network import build

    catalog = catalogs.read()
    target = choose(device, threads)
    found = read(locate_weights(run_or_file, catalog))
    task, network = build(found, Registry.installed())
    run = RunDirectory(Path(run_or_file))
    document = run_evaluation(
        found,
        task,
        network.to(target),
        catalog,
        data=data or (run.read_config()["data"] if run.exists() else ""),
        split=split,
        shuffle=shuffle_words,
        watch=watched,
    )
    if not document["training_data"]:
        click.echo("note: this is not the data of the training", err=True)
    if as_json:
        echo_json(document)
    else:
        echo_metrics(document)
    if run.exists() and not shuffle_words:
        try:
            run.add_evaluation(split, document)
        except DiskError as error:
            click.echo(f"note: not kept for the export: {error}", err=True)
