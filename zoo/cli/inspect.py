"""``zoo inspect``."""

from __future__ import annotations

import click

from zoo.cli import completion, options
from zoo.cli.output import echo_columns, echo_json


@click.command(
    epilog="""\b
Examples:
  zoo inspect imdb.safetensors
  zoo inspect imdb.safetensors --json
"""
)
@click.argument("file", shell_complete=completion.weights)
@options.as_json
def command(file: str, as_json: bool) -> None:
    """Show what a weights file says of itself; no tensor is loaded, and no plugin."""
    from zoo import catalog
    from zoo.api import locate_weights
    from zoo.weights.file import inspect

    found = inspect(locate_weights(file, catalog.read()))
    tensors = {name: {"dtype": d, "shape": list(s)} for name, (d, s) in found.shapes.items()}
    if as_json:
        echo_json({**found.header, "tensors": tensors})
        return
    header = found.header
    facts = [("name", header["name"])]
    for part in ("task", "model"):
        made = header[part]
        facts.append((part, f"{made['name']} ({made['distribution']} {made['version']})"))
    facts.append(("data", f"{header['data']['summary']}, sha256 {header['data']['sha256']}"))
    facts += [(name, f"{len(asset)} entries") for name, asset in header["assets"].items()]
    facts += [("storage", header["storage"]), ("digest", header["digest"])]
    echo_columns(facts)
    for part in ("task", "model"):
        click.echo(f"\n{part} options")
        echo_columns([(k, str(v)) for k, v in header[part]["options"].items()], indent="  ")
    for split, metrics in header["metrics"].items():
        click.echo(f"\nmeasured on {split}")
        plain = [(k, str(v)) for k, v in metrics.items() if not isinstance(v, list)]
        echo_columns(plain, indent="  ")
    click.echo("\ntensors")
    shapes = sorted(found.shapes.items())
    echo_columns([(n, kind, "x".join(map(str, shape))) for n, (kind, shape) in shapes], "  ")
