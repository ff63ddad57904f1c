"""``zoo diagnose``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import completion, options
from zoo.cli.output import echo_columns, echo_json

SHOWN = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@click.group()
def command() -> None:
    """Look into models and trained networks."""


@command.command(
    epilog="""\b
Examples:
  zoo diagnose gradients rnn lstm gru
  zoo diagnose gradients rnn lstm gru --steps 200 --plot gradients.png
  zoo diagnose gradients runs/book --json
"""
)
@click.argument("model_or_file", nargs=-1, required=True, shell_complete=completion.weights)
@click.option(
    "--steps", type=click.IntRange(2, 10_000), default=100, show_default=True, help="Length."
)
@click.option(
    "--hidden-size", type=click.IntRange(1, 4096), default=64, show_default=True,
    help="Of fresh models.",
)  # fmt: skip
@click.option("--seed", type=options.SEEDS, default=1, show_default=True, help="Of draws.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="A .png or .svg.")
@options.as_json
def gradients(
    model_or_file: tuple[str, ...],
    steps: int,
    hidden_size: int,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure the norm of dL/dh(t) against distance, for fresh models and for trained weights.

    L is the last output times a random vector, the inputs are N(0, 1). Gradients that shrink by the
    same factor at every step vanish; ones that grow explode. For a bidirectional model the gradient
    is that of the inputs.
    """
    import torch

    from zoo.api import create_model, load, registry
    from zoo.errors import UsageError
    from zoo.interfaces import WrapsModel
    from zoo.records import ModelInfo
    from zoo_diagnose import gradients as measure

    known = registry()
    curves = {}
    for name in model_or_file:
        if known.has(ModelInfo, name):
            torch.manual_seed(seed)
            info = known.get(ModelInfo, name)
            model = create_model(name, hidden_size, hidden_size=hidden_size)
        else:
            trained = load(name)
            if not isinstance(trained.module, WrapsModel):
                raise UsageError("the network has no module named rnn", where=name)
            model, info = trained.module.rnn, trained.spec.model.info
        curves[name] = measure.gradient_sizes(model, steps, causal=info.causal, seed=seed)
    if plot:
        measure.plot(curves, plot)
    if as_json:
        echo_json(curves)
        return
    rows = [("distance", *curves)]
    rows += [
        (str(d), *(f"{sizes[d]:.3g}" for sizes in curves.values())) for d in SHOWN if d < steps
    ]
    echo_columns(rows)
