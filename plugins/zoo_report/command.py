"""``zoo report``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import completion


@click.command(
    epilog="""\b
Examples:
  zoo report runs/sms
  zoo report runs/sms -o sms.html
  zoo report runs/small runs/large -o compared.html

The page is one file that opens offline. Scores are those that were measured: `zoo evaluate RUN`
measures the test part of a run that was interrupted, or trained with --no-test.
"""
)
@click.argument("run", nargs=-1, required=True, shell_complete=completion.weights)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path),
    help="The page.  [default: report.html, of a single run in its directory]",
)  # fmt: skip
def command(run: tuple[str, ...], output: Path | None) -> None:
    """Write a page about a run, or about several side by side.

    RUN is a run directory. Several runs are compared: settings that differ, scores and curves.
    """
    from zoo_report import write_report

    click.echo(str(write_report(run, output or "")))
