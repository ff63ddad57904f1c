"""What ``zoo train`` says of a finished run: the verdict, mistakes, and what to do next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from zoo.cli.terminal import one_line, width

if TYPE_CHECKING:
    from zoo.interfaces import Mistake
    from zoo.runs import Run


def echo_result(run: Run) -> None:
    """Print the score on the test part, the most confident mistakes and the next commands."""
    for sentence in run.verdict:
        click.echo(sentence)
    if mistakes := run.mistakes():
        click.echo("most confident mistakes:")
        for mistake in mistakes:
            click.echo(one_line(f"  {_described(mistake)}", width()))
    click.echo("next:")
    path = shlex.quote(str(run.path))
    for command in (*_uses(run, path), f"evaluate {path}", f"export {path} -o model.safetensors"):
        click.echo(f"  zoo {command}")


def _described(mistake: Mistake) -> str:
    predicted = " ".join(mistake.prediction.columns())
    text = " ".join(mistake.prediction.text.split())
    return f"{predicted}, should be {mistake.target}: {text}"


def _uses(run: Run, path: str) -> list[str]:
    """Return the commands that the model can be used with."""
    uses = []
    if run.model.predicts:
        uses.append(f'predict {path} "a text"')
    if run.model.generates:
        uses.append(f"generate {path}")
    return uses
