"""``zoo train``."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from zoo.catalog import ENVIRONMENT_VARIABLE
from zoo.cli import completion, options


@click.command(
    epilog="""\b
Examples:
  zoo train imdb-bilstm --data aclImdb_v1.tar.gz
  zoo train sentiment/gru --data reviews.csv --epochs 3 --set hidden_size=128
  zoo train char-lm/lstm --data book.txt --steps 2000 --out runs/book
  zoo train imdb-bilstm --out runs/imdb --resume

Settings are those that `zoo show NAME` lists. Prints the run directory last.
"""
)
@click.argument("name", shell_complete=completion.runs)
@options.data
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training data.")
@click.option("--steps", type=click.IntRange(1), help="Optimiser steps, in place of epochs.")
@click.option("--seed", type=click.IntRange(0), help="Seed of all that is drawn.  [default: 1]")
@options.device
@options.threads
@click.option("--out", type=click.Path(file_okay=False), help="Run directory; default under runs/.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
def command(
    name: str,
    data: str,
    settings: tuple[str, ...],
    epochs: int | None,
    steps: int | None,
    seed: int | None,
    device: str,
    threads: int,
    out: str | None,
    resume: bool,
) -> None:
    """Train NAME: a row that `zoo list` shows, or TASK/MODEL such as sentiment/gru."""
    from zoo import catalog as catalogs
    from zoo.cli.progress import Progress
    from zoo.config import from_json, resolve
    from zoo.engine.rundir import RunDirectory
    from zoo.errors import UsageError
    from zoo.registry import Registry

    overrides = [_pair(text) for text in settings]
    if epochs and steps:
        raise UsageError("--epochs and --steps are both given", fix="give one of them")
    if epochs:
        overrides += [("training.epochs", str(epochs)), ("training.steps", "0")]
    if steps:
        overrides += [("training.steps", str(steps))]
    if resume and not out:
        raise UsageError("--resume has no run to go on with", fix="name it with --out")

    registry, catalog = Registry.installed(), catalogs.read()
    run = RunDirectory(Path(out) if out else _fresh_directory(name))
    if Path(data).exists() and data:
        data = str(Path(data).resolve())
    if resume:
        document = run.read_config()
        configuration = from_json(document, registry)
        asked = resolve(
            name,
            registry,
            catalog,
            overrides,
            data=data or document["data"],
            seed=document["seed"] if seed is None else seed,
        )
        _same(configuration.to_json(), asked.to_json(), {key for key, _ in overrides}, run.path)
    else:
        configuration = resolve(
            name, registry, catalog, overrides, data=data, seed=1 if seed is None else seed
        )
        if run.exists():
            run.create({})  # Refuses, before anything is read.

    from zoo.engine.device import choose
    from zoo.engine.session import run_training

    target = choose(device, threads)
    registry_path = os.environ.get(ENVIRONMENT_VARIABLE)
    named = f"--registry {shlex.quote(registry_path)} " if registry_path else ""
    again = f"zoo {named}train {name} --out {shlex.quote(str(run.path))} --resume"
    with Progress() as progress, _interrupts() as interrupted:
        outcome = run_training(
            configuration,
            registry,
            catalog,
            run,
            target,
            progress,
            resume=resume,
            interrupted=interrupted,
            prepared=progress.prepared,
        )
    if outcome.interrupted:
        click.echo(f"stopped at step {outcome.position.step}; go on with: {again}", err=True)
        click.echo(str(run.path))
        raise SystemExit(130)
    click.echo(str(run.path))


def _pair(text: str) -> tuple[str, str]:
    from zoo.errors import UsageError

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {text!r} is not KEY=VALUE", fix="for instance --set batch_size=64")
    return key.strip(), value


def _fresh_directory(name: str) -> Path:
    stem = f"{name.replace('/', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
    path = Path("runs") / stem
    number = 1
    while path.exists():
        number += 1
        path = Path("runs") / f"{stem}-{number}"
    return path


def _same(stored: dict[str, Any], asked: dict[str, Any], given: set[str], path: Path) -> None:
    """Refuse to go on with a run under other settings than it started with."""
    from zoo.errors import UsageError

    different = [key for key in ("name", "data", "seed") if stored[key] != asked[key]]
    for section, values in asked["settings"].items():
        for key, value in values.items():
            named = key in given or f"{section}.{key}" in given
            if named and stored["settings"][section][key] != value:
                different.append(f"{section}.{key}")
    if different:
        raise UsageError(
            "the run was started otherwise",
            where=str(path),
            why=f"{', '.join(different)} differ",
            fix="leave them out to go on as it was started",
        )


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C be seen between steps; the second one stops at once."""
    seen: list[int] = []
    previous: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.signal(number, previous[number])
        click.echo("stopping after this step; once more to stop at once", err=True)

    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        previous[number] = signal.signal(number, note)
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
