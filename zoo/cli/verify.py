"""``zoo verify``."""

from __future__ import annotations

import click

from zoo.cli import completion, options


@click.command(
    epilog="""\b
Examples:
  zoo verify imdb-bilstm
  zoo verify imdb-bilstm --data aclImdb_v1.tar.gz
  zoo verify my.safetensors
"""
)
@click.argument("name", shell_complete=completion.weights)
@options.data
@options.device
@options.threads
def command(name: str, data: str, device: str, threads: int) -> None:
    """Verify weights: their digests, probe and published score.

    NAME is a recipe with weights, a weights file or a run directory. The score is verified for
    recipes, given --data: every published metric is measured again on the split that it was
    measured on, and must agree within 0.0002 (of itself, where it is above 1).
    """
    from zoo.api import iter_verify
    from zoo.environment import set_up_process, torch_is_installed

    set_up_process(threads, torch_computes=torch_is_installed())
    for line in iter_verify(name, data, device=device, threads=threads):
        click.echo(line)
