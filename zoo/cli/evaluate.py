"""``zoo evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import options
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
@click.argument("run_or_file")
@options.data
@click.option(
    "--split",
    default="test",
    show_default=True,
    help="Part of the data: train, validation, test or all.",
)
@options.device
@options.threads
@options.as_json
def command(
    run_or_file: str, data: str, split: str, device: str, threads: int, as_json: bool
) -> None:
    """Score a run directory, a weights file or a published run on a part of some data."""
    from zoo import catalog as catalogs
    from zoo.api import locate_weights
    from zoo.cli.progress import watched
    from zoo.data.source import locate
    from zoo.engine.device import choose
    from zoo.engine.evaluation import part, score
    from zoo.engine.rundir import RunDirectory
    from zoo.registry import Registry
    from zoo.weights.file import read
    from zoo.weights.network import build

    catalog = catalogs.read()
    target = choose(device, threads)
    found = read(locate_weights(run_or_file, catalog))
    task, network = build(found, Registry.installed())
    network.to(target)
    run = RunDirectory(Path(run_or_file))
    trained_on = found.header["data"]
    source = data or (run.read_config()["data"] if run.exists() else trained_on["name"])
    prepared = task.prepare(locate(source, catalog), found.header["training"]["seed"], learn=False)
    if not data and prepared.digest != trained_on["sha256"]:
        click.echo(
            f"note: this is not the data of the training, which was {trained_on['summary']} with "
            f"sha256 {trained_on['sha256']}; give it with --data",
            err=True,
        )
    metrics = task.evaluate(part(prepared, split), lambda s: score(task, network, s, watched))
    document = {
        "name": found.header["name"],
        "split": split,
        "data": prepared.summary,
        "data_sha256": prepared.digest,
        **metrics,
    }
    if run.exists():
        run.add_evaluation(split, document)
    if as_json:
        echo_json(document)
    else:
        echo_metrics(document)
