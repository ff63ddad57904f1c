"""``zoo train``."""

from __future__ import annotations

import os
import shlex
from typing import Any

import click

from zoo.cli import completion, options
from zoo.entry_points import REGISTRY_VARIABLE
from zoo.errors import UsageError


@click.command(
    epilog="""\b
Examples:
  zoo train imdb-bilstm --data aclImdb_v1.tar.gz
  zoo train sentiment/gru --data reviews.csv --epochs 3 --set hidden_size=128
  zoo train sentiment/bilstm --data reviews.csv --init imdb-bilstm
  zoo train char-lm/lstm --data book.txt --steps 2000 --out runs/book
  zoo train imdb-bilstm --out runs/imdb --resume

Settings are those that `zoo show NAME` lists.
"""
)
@click.argument("name", shell_complete=completion.recipes)
@options.data
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training data.")
@click.option("--steps", type=click.IntRange(1), help="Optimizer steps, in place of epochs.")
@click.option(
    "--init", default="", metavar="FILE", shell_complete=completion.weights,
    help="Start from these weights: a file, a run or a recipe.",
)  # fmt: skip
@click.option(
    "--callback", "callbacks", multiple=True, metavar="NAME", shell_complete=completion.callbacks,
    help="Add a callback.",
)  # fmt: skip
@options.metrics
@click.option("--seed", type=click.IntRange(0), help="Seed of all that is drawn.  [default: 1]")
@options.device
@options.threads
@click.option("--out", type=click.Path(file_okay=False), help="Run directory; default under runs/.")
@click.option("--resume", is_flag=True, help="Continue the run in --out.")
def command(
    name: str,
    data: str,
    settings: tuple[str, ...],
    epochs: int | None,
    steps: int | None,
    init: str,
    callbacks: tuple[str, ...],
    metrics: tuple[str, ...],
    seed: int | None,
    device: str,
    threads: int,
    out: str | None,
    resume: bool,
) -> None:
    """Train a recipe, or TASK/MODEL such as sentiment/gru.

    NAME is a recipe that `zoo list` lists, or a task and a model. The run directory, which
    everything is written into, is printed last.
    """
    from zoo import api
    from zoo.environment import set_up_process

    given = dict(_pair(text) for text in settings)
    if epochs and steps:
        raise UsageError("--epochs and --steps are both given", fix="give one of them")
    if epochs:
        given |= {"training.epochs": str(epochs), "training.steps": "0"}
    if steps:
        given |= {"training.steps": str(steps)}
    if resume and not out:
        raise UsageError("--resume has no run to continue", fix="name it with --out")
    asked: dict[str, Any] = {
        "data": data, "settings": given, "init": init, "callbacks": callbacks, "metrics": metrics,
    }  # fmt: skip
    set_up_process(threads)
    if resume:
        assert out
        api.check_same_run(out, name, seed=seed, **asked)
        run = api.resume(out, device=device, threads=threads)
    else:
        run = api.train(
            name, out=out, seed=1 if seed is None else seed, device=device, threads=threads, **asked
        )
    if run.interrupted:
        named = os.environ.get(REGISTRY_VARIABLE)
        registry = f"--registry {shlex.quote(named)} " if named else ""
        again = f"zoo {registry}train {name} --out {shlex.quote(str(run.path))} --resume"
        click.echo(f"stopped: {run.stop_reason}; continue with: {again}", err=True)
    elif run.stop_reason:
        click.echo(f"stopped early: {run.stop_reason}", err=True)
    click.echo(str(run.path))
    if run.interrupted:
        raise SystemExit(130)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {text!r} is not KEY=VALUE", fix="for instance --set batch_size=64")
    return key.strip(), value
