"""``zoo inspect``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    from zoo.api import header_facts

    found, name = header_facts(file)
    tensors = {name: {"dtype": d, "shape": list(s)} for name, (d, s) in found.shapes.items()}
    if as_json:
        echo_json({**found.header, "tensors": tensors})
        return
    header, run = found.header, found.header["run"]
    facts = [("name", name), ("zoo", header["zoo"])]
    facts += [(part, version) for part, version in header.get("environment", {}).items()]
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
        click.echo(f"\nmeasured on {split}{_circumstances(header, metrics)}")
        plain = [(k, str(v)) for k, v in metrics.items() if not isinstance(v, list | dict)]
        echo_columns(plain, indent="  ")
    if quantization := header.get("quantization"):
        click.echo("\nquantization")
        echo_columns([(k, str(v)) for k, v in quantization.items()], indent="  ")
    click.echo("\ntensors")
    shapes = sorted(found.shapes.items())
    echo_columns([(n, kind, "x".join(map(str, shape))) for n, (kind, shape) in shapes], "  ")


def _circumstances(header: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Return in which way metrics are of other weights or data than the file's; empty: in none."""
    notes = []
    if not metrics.get("weights_sha256"):
        notes.append("the version that measured did not say of which weights")
    elif "measured_dtype" in metrics:
        notes.append(f"before the weights were stored as {header['dtype']}")
    if metrics.get("data_sha256", header["data"]["sha256"]) != header["data"]["sha256"]:
        notes.append("other data than that of the training")
    return f" ({'; '.join(notes)})" if notes else ""
