"""``zoo train``."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

import click

from zoo.cli import completion, failures, options
from zoo.cli.default_callbacks import TrainCommand, left_out
from zoo.cli.result import echo_result
from zoo.entry_points import REGISTRY_VARIABLE
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.runs import Run

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def _seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Return the seconds of a time such as ``90``, ``30s``, ``5m`` or ``1.5h``."""
    del ctx, param
    if value is None:
        return None
    parts = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh]?)", value.strip(), re.ASCII)
    if not parts:
        raise UsageError(
            f"--checkpoint-every {value!r} is no time", fix="for instance 90, 30s, 5m or 1h"
        )
    return float(parts[1]) * _UNITS[parts[2]]


@click.command(
    cls=TrainCommand,
    epilog="""\b
Examples:
  zoo train --data reviews.csv
  zoo train --data reviews.csv --epochs 3 --lr 0.002 --out runs/reviews
  zoo train --data reviews.csv --track tensorboard
  zoo train imdb-bilstm --data aclImdb_v1.tar.gz
  zoo train char-lm/lstm --data book.txt --steps 2000 --hidden-size 256
  zoo train --data reviews.csv --init imdb-bilstm
  zoo train --out runs/reviews --resume
  zoo train --out runs/reviews --resume --epochs 20
  torchrun --nproc-per-node=2 -m zoo train imdb-bilstm --data reviews.csv

Settings are those that `zoo show NAME` lists.
""",
)
@click.argument("name", default="", shell_complete=completion.recipes)
@options.data
@click.option(
    "--validation", default="", type=click.Path(), metavar="FILE", help="Validate with this file."
)
@click.option("--test", default="", type=click.Path(), metavar="FILE", help="Test with this file.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training data.")
@click.option("--steps", type=click.IntRange(1), help="Optimizer steps, in place of epochs.")
@click.option("--batch-size", type=click.IntRange(1), help="Rows in a batch.")
@click.option("--lr", "--learning-rate", "learning_rate", type=float, help="Peak learning rate.")
@click.option("--hidden-size", type=click.IntRange(1), help="Units of a recurrent layer.")
@click.option(
    "--keep-duplicates", is_flag=True,
    help="Keep training texts that are in the validation or test part, too.",
)  # fmt: skip
@click.option(
    "--init", metavar="FILE", shell_complete=completion.weights,
    help="Start from these weights: a file, a run or a recipe; '': from scratch.",
)  # fmt: skip
@click.option(
    "--callback", "--track", "callbacks", multiple=True, metavar="NAME",
    shell_complete=completion.callbacks,
    help="Add a callback, such as a tracker: tensorboard or mlflow.",
)  # fmt: skip
@options.metrics
@click.option(
    "--checkpoint-every", metavar="TIME", callback=_seconds,
    help="Time between checkpoints: 90, 30s, 5m or 1h; 0: at evaluations alone.  [default: 10m]",
)  # fmt: skip
@click.option("--seed", type=options.SEEDS, help="Random seed.  [default: 1]")
@options.device
@options.threads
@click.option("--out", type=click.Path(file_okay=False), help="Run directory; default under runs/.")
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the run in --out, to more --epochs or --steps if given.",
)
@click.option(
    "--allow-changed",
    is_flag=True,
    help="Resume although versions, threads or the device have changed; the run says so.",
)
@click.option(
    "--no-check", is_flag=True, help="Do not check models and task before the first step."
)
@click.option(
    "--sample-every", type=click.IntRange(1), metavar="STEPS",
    help="Show a text that a language model generates, every so many steps.",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--no-test", is_flag=True, help="Do not evaluate on the test part at the end.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    data: str,
    validation: str,
    test: str,
    settings: tuple[str, ...],
    epochs: int | None,
    steps: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    hidden_size: int | None,
    keep_duplicates: bool,
    init: str | None,
    callbacks: tuple[str, ...],
    metrics: tuple[str, ...],
    checkpoint_every: float | None,
    seed: int | None,
    device: str,
    threads: int,
    out: str | None,
    resume: bool,
    allow_changed: bool,
    no_check: bool,
    sample_every: int | None,
    quiet: bool,
    no_test: bool,
) -> None:
    """Train on data, or a recipe, or TASK/MODEL.

    NAME is a recipe that `zoo list` lists, or a task and a model. Without a NAME the data is looked
    at, and task, model and settings are chosen. At the end the score on the test part is printed
    beside those of baselines, and the run directory, which everything is written into, last.
    """
    from zoo import api
    from zoo.environment import set_up_process

    if epochs and steps:
        raise UsageError("--epochs and --steps are both given", fix="give one of them")
    if resume and not out:
        raise UsageError("--resume has no run to continue", fix="name it with --out")
    if allow_changed and not resume:
        raise UsageError("--allow-changed is for a run that is resumed", fix="add --resume")
    given = dict(_pair(text) for text in settings)
    given |= {
        key: str(value)
        for key, value in {
            "training.batch_size": batch_size,
            "training.learning_rate": learning_rate,
            "training.checkpoint_every": checkpoint_every,
            "model.hidden_size": hidden_size,
            "task.duplicates": "keep" if keep_duplicates else None,
        }.items()
        if value is not None
    }
    set_up_process(threads)
    added = api.default_callbacks(left_out(ctx))
    if sample_every:
        added.append(api.SampleTexts(sample_every))
    try:
        if resume:
            assert out
            api.check_same_run(
                out, name, data=data, validation=validation, test=test, settings=given, init=init,
                callbacks=callbacks, metrics=metrics, seed=seed,
            )  # fmt: skip
            run = api.resume(
                out, epochs=epochs or 0, steps=steps or 0, device=device, threads=threads,
                allow_changed=allow_changed, callbacks=added, evaluate_test=not no_test,
                progress=not quiet,
            )  # fmt: skip
        else:
            if epochs:
                given |= {"training.epochs": str(epochs), "training.steps": "0"}
            if steps:
                given |= {"training.steps": str(steps)}
            run = api.train(
                name, data, validation=validation, test=test, out=out, settings=given, init=init,
                callbacks=[*callbacks, *added], metrics=metrics, seed=1 if seed is None else seed,
                device=device, threads=threads, check=not no_check, evaluate_test=not no_test,
                progress=not quiet,
            )  # fmt: skip
    except api.SharedFailureError as error:  # Another process says it.
        raise SystemExit(error.exit_code) from error
    if not api.is_main_process():
        raise SystemExit(failures.INTERRUPTED if run.interrupted else 0)
    if run.interrupted:
        click.echo(f"stopped: {run.stop_reason}; continue with: {_continuation(run)}", err=True)
        click.echo(str(run.path))
        raise SystemExit(failures.INTERRUPTED)
    if run.stop_reason:
        click.echo(f"stopped early: {run.stop_reason}", err=True)
    if not no_test:
        echo_result(run)
    for message in run.messages:
        click.echo(message)
    click.echo(str(run.path))


def _continuation(run: Run) -> str:
    """Return the command that continues an interrupted run."""
    named = os.environ.get(REGISTRY_VARIABLE)
    registry = f"--registry {shlex.quote(named)} " if named else ""
    out = shlex.quote(str(run.path))
    from zoo.launch import launch

    here = launch()
    start = "zoo" if here.size == 1 else f"torchrun --nproc-per-node={here.local_size} -m zoo"
    return f"{start} {registry}train {run.config['name']} --out {out} --resume"


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {text!r} is not KEY=VALUE", fix="for instance --set batch_size=64")
    return key.strip(), value
