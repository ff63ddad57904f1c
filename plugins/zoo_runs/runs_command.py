"""``zoo runs``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import options
from zoo.cli.output import echo_json
from zoo.cli.terminal import width
from zoo.errors import UsageError


@click.command(
    epilog="""\b
Examples:
  zoo runs
  zoo runs --sort -accuracy
  zoo runs --sort seconds --filter task=sentiment --filter hidden_size=64
  zoo runs runs/sizes --csv > sizes.csv

Scores are those of the test part or, with *, of the validation part.
"""
)
@click.argument("folder", default="runs", type=click.Path(path_type=Path))
@click.option(
    "--sort", default="", metavar="KEY",
    help="A metric, or path, name, score, step, epoch, seconds or state; -KEY: descending.",
)  # fmt: skip
@click.option(
    "--filter", "filters", multiple=True, metavar="KEY=VALUE",
    help="Only runs with this setting, name, path, task, model, data, seed or state.",
)  # fmt: skip
@options.as_json
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def command(folder: Path, sort: str, filters: tuple[str, ...], as_json: bool, as_csv: bool) -> None:
    """List the runs of FOLDER and of the folders in it, with score, length and settings.

    FOLDER is runs/ unless it is given. A run that is damaged is listed with the reason. A state of
    `interrupted` means that the run is not complete; it may still be training.
    """
    from zoo_runs import list_runs, table

    if as_json and as_csv:
        raise UsageError("--json and --csv are both given", fix="give one of them")
    runs = list_runs(folder, sort=sort, filters=filters)
    if as_json:
        echo_json([run.to_json() for run in runs])
    elif as_csv:
        click.echo(table.to_csv(runs), nl=False)
    else:
        for line in table.lines(runs, folder, width(), sort):
            click.echo(line)
        if not runs:
            click.echo(f"no runs in {click.format_filename(folder)}", err=True)
