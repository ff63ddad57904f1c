"""``zoo generate``."""

from __future__ import annotations

import click

from zoo.cli import completion, options
from zoo.cli.loading import load_model

MOST_TOKENS = 10_000_000
"""Of several samples, which are printed when the last token is drawn."""


@click.command(
    epilog="""\b
Examples:
  zoo generate book.safetensors --prompt "The island" --length 300
  zoo generate book.safetensors --prompt "The island" --scale 2 --seed 1
  zoo generate book.safetensors --temperature 0 --samples 1

Temperature 0 always takes the likeliest token. More than one sample are printed one after the
other, each after a line `--- N`.
"""
)
@click.argument("file", shell_complete=completion.weights)
@click.option("--prompt", default="", help="Text to continue.")
@click.option(
    "--length", type=click.IntRange(0, 10_000_000), default=500, show_default=True,
    help="Tokens to generate.",
)  # fmt: skip
@click.option(
    "--temperature", type=float, help="Above 1: more random, below 1: less.  [default: 1]"
)
@click.option("--scale", type=float, help="1 / temperature: what logits are multiplied by.")
@click.option(
    "--top-k", type=click.IntRange(max=2**31), default=0,
    help="Draw among the K likeliest tokens; 0: all.",
)  # fmt: skip
@click.option(
    "--top-p", type=float, default=1.0,
    help="Draw among the likeliest tokens that together have probability P; 1: all.",
)  # fmt: skip
@click.option(
    "--seed", type=options.SEEDS, help="Seed of the sampling, for the same text each time."
)
@click.option(
    "--samples", type=click.IntRange(1, 10_000), default=1, show_default=True,
    help="Texts to generate.",
)  # fmt: skip
@options.device
@options.threads
def command(
    file: str,
    prompt: str,
    length: int,
    temperature: float | None,
    scale: float | None,
    top_k: int,
    top_p: float,
    seed: int | None,
    samples: int,
    device: str,
    threads: int,
) -> None:
    """Generate text with trained weights.

    FILE is a weights file, a run directory or a recipe with weights.
    """
    from zoo.errors import UsageError

    if temperature is not None and scale is not None:
        raise UsageError("--temperature and --scale are both given", fix="give one of them")

    from zoo.generation import Sampling

    if temperature is not None:
        sampling = Sampling.at_temperature(temperature, top_k, top_p, seed)
    else:
        sampling = Sampling(1.0 if scale is None else scale, top_k, top_p, seed)
    tokens = load_model(file, device, threads).stream(prompt, length, sampling, samples)
    if samples == 1:
        click.echo(prompt, nl=False)
        for (token,) in tokens:
            click.echo(token, nl=False)
        click.echo()
        return
    if samples * length > MOST_TOKENS:
        raise UsageError(
            "too many tokens", why=f"{samples:,} samples of {length:,}; {MOST_TOKENS:,} are allowed"
        )
    columns = [list(row) for row in tokens]
    for number in range(samples):
        click.echo(f"--- {number + 1}")
        click.echo(prompt + "".join(row[number] for row in columns))
