"""``zoo sweep``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import completion, options
from zoo.cli.output import echo_json
from zoo.cli.terminal import width
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo_runs.results import Scores, Sweep, Trial


@click.command(
    epilog="""\b
Examples:
  zoo sweep sample-lstm --set learning_rate=1e-3,3e-3 --set hidden_size=32,64 --seeds 3
  zoo sweep text-classification/gru --data reviews.csv \\
      --set learning_rate=1e-4:1e-2:log --set hidden_size=32:128 --trials 20 --out runs/sizes
  zoo runs runs/sizes --sort -accuracy

A setting with several values varies: VALUE,VALUE or LOW:HIGH, LOW:HIGH:STEP, LOW:HIGH:log. The same
command goes on with a sweep that was stopped, and several processes share one.
"""
)
@click.argument("name", default="", shell_complete=completion.recipes)
@options.data
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE[,VALUE]...",
    help="A setting: one value for all runs, or several to try.",
)  # fmt: skip
@click.option(
    "--seeds", type=click.IntRange(1, 1000), default=3, show_default=True,
    help="Runs of each setting.",
)  # fmt: skip
@click.option(
    "--trials", type=click.IntRange(1, 100_000), help="Sample so many settings; default: try all."
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the sweep.  [default: runs/NAME-sweep]",
)  # fmt: skip
@click.option(
    "--storage", default="", metavar="URL",
    help="Database of Optuna.  [default: a file in the folder]",
)  # fmt: skip
@click.option(
    "--init", metavar="FILE", shell_complete=completion.weights,
    help="Start every run from these weights: a file, a run or a recipe; '': from none.",
)  # fmt: skip
@click.option("--no-test", is_flag=True, help="Do not evaluate the best setting on the test part.")
@options.device
@options.threads
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@options.as_json
def command(
    name: str,
    data: str,
    settings: tuple[str, ...],
    seeds: int,
    trials: int | None,
    out: Path | None,
    storage: str,
    init: str | None,
    no_test: bool,
    device: str,
    threads: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train NAME with several settings and seeds, and choose the best on the validation part.

    NAME is a recipe, or TASK/MODEL; without it the data is looked at, as by `zoo train`. Shown are
    mean and standard deviation over seeds. The test part is read once, at the end, for the setting
    that was chosen.
    """
    from zoo_runs import sweep
    from zoo_runs.space import varies

    given = dict(_pair(text) for text in settings)
    several = {key: value for key, value in given.items() if varies(value)}
    found = sweep(
        name, data,
        space=several,
        settings={key: value for key, value in given.items() if key not in several},
        seeds=seeds, trials=trials or 0, out=out, storage=storage, test=not no_test,
        init=init, device=device, threads=threads, progress=not quiet,
        on_trial=None if quiet else _echo_trial,
    )  # fmt: skip
    if as_json:
        echo_json({"path": str(found.path), **found.to_json()})
    else:
        for line in _lines(found, width(), no_test=no_test):
            click.echo(line)
        click.echo(str(found.path))
    if found.interrupted:
        click.echo("stopped: the same command goes on with the sweep", err=True)
        sys.exit(130)


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise UsageError(f"--set {text!r} is not KEY=VALUE", fix="for instance hidden_size=32,64")
    return key.strip(), value.strip()


def _echo_trial(trial: Trial) -> None:
    score = _score(trial.validation) if trial.validation else trial.state
    click.echo(f"{trial.path.name}: {_settings(trial)}: {score}", err=True)


def _lines(found: Sweep, columns: int, *, no_test: bool) -> Iterator[str]:
    """Yield the table of trials, the best setting and its score on the test part."""
    from zoo_runs.table import render

    metric = found.metric.replace("_", " ")
    if found.trials:
        table = {
            "trial": [trial.path.name.removeprefix("trial-") for trial in found.trials],
            f"validation {metric}": [
                _score(trial.validation) if trial.validation else "-" for trial in found.trials
            ],
            "state": [trial.state for trial in found.trials],
            "settings": [_settings(trial) for trial in found.trials],
        }
        if all(trial.state == "complete" for trial in found.trials):
            del table["state"]
        yield from render(table, columns)
        seeds = f"{found.seeds} seeds" if found.seeds > 1 else "1 seed"
        spread = "mean ± standard deviation" if found.seeds > 1 else "score"
        yield f"{spread} over {seeds}"
    if (left := sum(trial.state == "running" for trial in found.trials)) and not found.interrupted:
        yield f"{left} of {found.planned} are trained by other processes"
    if not (best := found.best) or not found.complete:
        return
    yield f"best on validation: {_settings(best)}"
    if found.test:
        shown = found.test.get(found.metric)
        if shown:
            yield f"its test {metric}: {_score(shown)}"
    elif no_test:
        yield "the test part was not read (--no-test)"
    else:
        yield "the data has no test part"
    yield f"its runs: zoo runs {shlex.quote(str(best.path))}"


def _settings(trial: Trial) -> str:
    return " ".join(f"{key}={value}" for key, value in trial.settings.items())


def _score(scores: Scores) -> str:
    spread = "" if scores.spread is None else f" ± {scores.spread:.4f}"
    return f"{scores.mean:.4f}{spread}"
