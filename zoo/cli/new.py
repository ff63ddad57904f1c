"""``zoo new``."""

from __future__ import annotations

from pathlib import Path

import click

KINDS = ("model", "task", "plugin")


@click.command(
    epilog="""\b
Examples:
  zoo new model gated-rnn
  zoo new task parity --out ~/src
  zoo new plugin logbook
"""
)
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--out", default=".", show_default=True, type=click.Path(file_okay=False, path_type=Path),
    help="Where the folder zoo-NAME is made.",
)  # fmt: skip
def command(kind: str, name: str, out: Path) -> None:
    """Write a package for a model, a task or a plugin.

    It works as it is: install it, and its tests pass. That of a plugin has a callback and a
    command.
    """
    from zoo.scaffold import create

    for path in create(kind, name, out):
        click.echo(str(out / path))
    click.echo(f"next: cd {out / f'zoo-{name}'}; pip install -e '.[dev]'; pytest", err=True)
