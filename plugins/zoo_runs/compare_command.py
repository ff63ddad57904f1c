"""``zoo compare``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from zoo.cli import completion, options
from zoo.cli.output import echo_json, format_value
from zoo.cli.terminal import one_line, width

if TYPE_CHECKING:
    from zoo_runs.comparison import Comparison


@click.command(
    epilog="""\b
Examples:
  zoo compare runs/small runs/large
  zoo compare runs/small runs/large --split validation --json

Both runs need the same examples in the split. p-values are of McNemar's test for accuracy, and of
a paired bootstrap for other metrics.
"""
)
@click.argument("first", metavar="RUN", shell_complete=completion.weights)
@click.argument("second", metavar="RUN", shell_complete=completion.weights)
@click.option(
    "--split", type=click.Choice(["train", "validation", "test"]), default="test",
    show_default=True, help="The part of the data of the trainings.",
)  # fmt: skip
@click.option(
    "--resamples", type=click.IntRange(100, 1_000_000), default=2000, show_default=True,
    help="Samples of the bootstrap.",
)  # fmt: skip
@click.option(
    "--seed", type=options.SEEDS, default=1, show_default=True, help="Seed of these samples."
)
@options.as_json
def command(first: str, second: str, split: str, resamples: int, seed: int, as_json: bool) -> None:
    """Compare two runs on the same examples: scores, differences, and their significance.

    A RUN is a run directory. It is evaluated with the data of its training.
    """
    from zoo_runs import compare

    found = compare(first, second, split=split, resamples=resamples, seed=seed)
    if as_json:
        echo_json(found.to_json())
        return
    for line in _lines(found, width()):
        click.echo(line)


def _lines(found: Comparison, columns: int) -> Iterator[str]:
    """Yield what is shown of a comparison."""
    from zoo_runs.table import number, render

    for letter, path, name in zip("AB", found.paths, found.names, strict=True):
        yield one_line(f"{letter}  {path}: {name}", columns)
    yield f"{found.examples:,} examples of the {found.split} part; 95 % intervals in brackets"
    yield ""

    def with_interval(value: float, interval: tuple[float, float]) -> str:
        return f"{number(value)} ({number(interval[0])} to {number(interval[1])})"

    scores = found.scores
    yield from render(
        {
            "metric": [score.metric.replace("_", " ") for score in scores],
            "A": [with_interval(s.values[0], s.intervals[0]) for s in scores],
            "B": [with_interval(s.values[1], s.intervals[1]) for s in scores],
            "B - A": [f"{score.difference:+.3f}" for score in scores],
            "p": ["<0.001" if s.p_value < 0.001 else f"{s.p_value:.3f}" for s in scores],
        },
        columns,
    )
    yield ""
    if found.settings:
        shown = {
            name: ["-" if value is None else format_value(value) for value in pair]
            for name, pair in found.settings.items()
        }
        yield from render(
            {
                "setting": list(shown),
                "A": [one_line(pair[0], 24) for pair in shown.values()],
                "B": [one_line(pair[1], 24) for pair in shown.values()],
            },
            columns,
        )
        yield ""
    yield click.wrap_text(scores[0].sentence, columns)
