"""``zoo evaluate``."""

from __future__ import annotations

import click

from zoo.cli import completion, options
from zoo.cli.output import echo_evaluation


@click.command(
    epilog="""\b
Examples:
  zoo evaluate runs/imdb
  zoo evaluate imdb.safetensors --data aclImdb_v1.tar.gz --split test
  zoo evaluate runs/book --split validation --json

The data is that of the training unless --data names another. A weights file names a data set at
most, which has to be in the cache: it opens no path and starts no download. The result for a run
directory is stored in it, and written into the weights file by `zoo export`.
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
    help="Shuffle the words of each text first: the difference is what their order tells.",
)
@options.metrics
@options.device
@options.threads
@options.as_json
def command(
    run_or_file: str,
    data: str,
    split: str,
    shuffle_words: bool,
    metrics: tuple[str, ...],
    device: str,
    threads: int,
    as_json: bool,
) -> None:
    """Evaluate trained weights on a split of some data.

    RUN_OR_FILE is a run directory, a weights file or a recipe with weights.
    """
    from zoo.api import evaluate
    from zoo.environment import set_up_process

    set_up_process(threads)
    result = evaluate(
        run_or_file,
        data,
        split=split,
        shuffle_steps=shuffle_words,
        metrics=metrics,
        device=device,
        threads=threads,
    )
    echo_evaluation(result, as_json=as_json)
