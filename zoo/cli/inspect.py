"""``zoo inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import completion, options
from zoo.cli.output import echo_columns, echo_json, format_value


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
    """Show the header of a weights file; no tensor is loaded.

    FILE is a weights file, a run directory or a recipe with weights.
    """
    from zoo.api import locate_weights
    from zoo.installed import registry
    from zoo.registry import Registry
    from zoo.weights.file import inspect

    # Plugins are needed for the name of a recipe only: any of them may bring it.
    known = Registry() if Path(file).exists() else registry()
    found = inspect(locate_weights(file, known))
    tensors = {name: {"dtype": d, "shape": list(s)} for name, (d, s) in found.shapes.items()}
    if as_json:
        echo_json({**found.header, "tensors": tensors})
        return
    header, run = found.header, found.header["run"]
    facts = [("name", run["name"]), ("zoo", header["zoo"])]
    components = {"task": run["task"], "model": run["model"], **run["submodels"]}
    for part, made in components.items():
        facts.append((part, f"{made['name']} ({made['distribution']} {made['version']})"))
    facts.append(("data", f"{header['data']['summary']}, sha256 {header['data']['sha256']}"))
    facts += [(name, f"{len(value)} entries") for name, value in header["task_state"].items()
              if isinstance(value, list | dict)]  # fmt: skip
    facts += [("dtype", header["dtype"]), ("digest", header["digest"])]
    echo_columns(facts)
    for part, made in components.items():
        click.echo(f"\n{part} options")
        echo_columns([(k, format_value(v)) for k, v in made["options"].items()], indent="  ")
    for split, metrics in header["metrics"].items():
        click.echo(f"\nmeasured on {split}")
        plain = [(k, str(v)) for k, v in metrics.items() if not isinstance(v, list | dict)]
        echo_columns(plain, indent="  ")
    click.echo("\ntensors")
    shapes = sorted(found.shapes.items())
    echo_columns([(n, kind, "x".join(map(str, shape))) for n, (kind, shape) in shapes], "  ")
