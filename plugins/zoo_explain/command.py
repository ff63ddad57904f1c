"""``zoo explain``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import completion, options
from zoo.cli.lines import Lines

if TYPE_CHECKING:
    from zoo.interfaces import Explanation


@click.command(
    epilog="""\b
Examples:
  zoo explain imdb-bilstm "Not bad at all, though the ending drags."
  zoo explain imdb-bilstm --target neg "Not bad at all." --json
  zoo explain imdb-bilstm -o reviews.html < reviews.txt
  zoo explain island-lstm "The island was quiet."

Texts come from the arguments, or else one a line from stdin. On a terminal words are coloured.
With NO_COLOR set, or where the output is no terminal, the strongest words have their value beside
them.
"""
)
@click.argument("file", shell_complete=completion.weights)
@click.argument("text", nargs=-1)
@click.option(
    "--target",
    default="",
    metavar="LABEL",
    help="The label whose score is explained; by default the one that is predicted.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a page instead, an .html file that needs nothing else.",
)
@options.device
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    file: str,
    text: tuple[str, ...],
    target: str,
    output: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Show what each word of a text adds to the answer.

    FILE is a weights file, a run directory or a recipe with weights. For a language model it is
    how much each character, or each word, surprises it.
    """
    from zoo.api import load
    from zoo.errors import UsageError
    from zoo.files import write_atomically
    from zoo_explain import page, terminal

    if output and as_json:
        raise UsageError("-o writes a page, and --json prints none", fix="leave one of them out")
    model = load(file, device)
    model.explain((), target=target)  # Before anything is asked for: it may explain nothing.
    texts = text or Lines()

    def explanations() -> Iterator[Explanation]:
        """Explain a text at a time: one is a batch of many points."""
        for each in texts:
            yield from model.explain([each], target=target)

    unknown, found = 0, []
    for explanation in explanations():
        unknown += not explanation.strongest_value
        if output:
            found.append(explanation)
        elif as_json:
            click.echo(json.dumps(asdict(explanation), ensure_ascii=False))
        else:
            terminal.show(explanation)
    if isinstance(texts, Lines) and texts.failure:
        raise texts.failure
    if output:
        write_atomically(output, page.render(found, model.facts()).encode())
        click.echo(str(output))
    if unknown:
        what = "1 text has" if unknown == 1 else f"{unknown:,} texts have"
        click.echo(f"warning: {what} nothing that adds to the answer", err=True)
