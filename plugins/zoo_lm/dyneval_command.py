"""``zoo dyneval``: dynamic evaluation."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import completion, options
from zoo.cli.output import echo_evaluation


@click.command(
    epilog="""\b
Examples:
  zoo dyneval runs/book
  zoo dyneval book.safetensors --data book.txt --split validation
  zoo dyneval runs/book --learning-rate 0.01 --learning-rate 0.02 --json

Learning rate and decay are those with the smallest loss on the validation split, from the values
that are given. The result depends on the text that has been read until then: it is reported apart
from that of `zoo evaluate`. The weights file and the run stay as they are.
"""
)
@click.argument("run_or_file", shell_complete=completion.weights)
@options.data
@click.option(
    "--split", default="test", show_default=True, help="Part of the data: validation, test or all."
)
@click.option(
    "--learning-rate", "learning_rates", type=float, multiple=True,
    help="A learning rate to choose from; may be repeated. By default 0.02 and 0.05.",
)  # fmt: skip
@click.option(
    "--decay", "decays", type=float, multiple=True,
    help="A share of the way back to the trained weights after each segment, to choose from; "
    "may be repeated. By default 0 and 0.002.",
)  # fmt: skip
@click.option(
    "--steps", type=click.IntRange(1, 100_000), default=20, show_default=True,
    help="Characters or words of a segment, after which the weights are changed.",
)  # fmt: skip
@options.device
@options.threads
@options.as_json
def command(
    run_or_file: str,
    data: str,
    split: str,
    learning_rates: tuple[float, ...],
    decays: tuple[float, ...],
    steps: int,
    device: str,
    threads: int,
    as_json: bool,
) -> None:
    """Evaluate a language model dynamically: it goes on learning from what it has read.

    RUN_OR_FILE is a run directory, a weights file or a recipe with weights.
    """
    from zoo.environment import set_up_process
    from zoo_lm.dynamic_evaluation import DECAYS, LEARNING_RATES, evaluate_dynamic

    def report(measured: dict[str, Any]) -> None:
        loss = "not finite" if measured["loss"] is None else f"{measured['loss']:.4f}"
        rule = f"learning rate {measured['learning_rate']:g}, decay {measured['decay']:g}"
        click.echo(f"validation, {rule}: loss {loss}", err=True)

    set_up_process(threads)
    result = evaluate_dynamic(
        run_or_file,
        data,
        split=split,
        learning_rates=learning_rates or LEARNING_RATES,
        decays=decays or DECAYS,
        steps=steps,
        device=device,
        report=report,
    )
    echo_evaluation(result, as_json=as_json)
