"""Write docs/results.md: ``python docs/make_results.py [RUN|RECIPE=DATA]...`` (``make results``).

Scores come from registry.toml, sizes of published weights from their files. What the arguments
name is measured first and noted in ``docs/_results/figures.csv``.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path

import click

# What ships with zoo is listed, whatever else is installed.
_POINTS = importlib.metadata.distribution("seqzoo").entry_points.select(group="zoo")
os.environ["ZOO_PLUGINS"] = ",".join(point.name for point in _POINTS)

from _results import figures  # noqa: E402
from _results.page import page  # noqa: E402

import zoo  # noqa: E402
from zoo.errors import UsageError, ZooError  # noqa: E402

PAGE = Path(__file__).parent / "results.md"


@click.command()
@click.argument("targets", nargs=-1, metavar="[RUN|RECIPE=DATA]...")
@click.option("--rate", is_flag=True, help="Also measure rates of evaluation (on an idle machine).")
@click.option("--machine", default="", help="Where the runs were trained, if not here.")
def main(targets: tuple[str, ...], rate: bool, machine: str) -> None:
    """Note figures of runs and recipes, and write docs/results.md."""
    try:
        for target in targets:
            found = _measured(target, rate, machine)
            figures.note(found)
            for each in found:
                click.echo(f"{each.recipe}: {each.what} {each.value}", err=True)
    except ZooError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    PAGE.write_text(page(), encoding="utf-8")
    click.echo(PAGE)


def _measured(target: str, rate: bool, machine: str) -> list[figures.Figure]:
    """Return figures of a run directory or of RECIPE=DATA."""
    if Path(target).is_dir():
        found = figures.of_run(Path(target), machine)
        if rate:
            run = zoo.open_run(target)
            found.append(figures.rate(found[0].recipe, run.model, run.data, "RUN"))
        return found
    name, separator, data = target.partition("=")
    if not separator:
        raise UsageError("no run directory", where=target, fix="give one, or RECIPE=DATA")
    found = figures.of_data(name, data)
    if rate:
        found.append(figures.rate(name, zoo.load(name), data, f"{name}=DATA"))
    return found


if __name__ == "__main__":
    main()
