"""``zoo export``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import completion, options
from zoo.deprecation import warn_deprecated

DTYPES = ("float32", "float16", "bfloat16")


@click.command(
    epilog="""\b
Examples:
  zoo export runs/imdb -o imdb.safetensors
  zoo export runs/book -o book.safetensors --dtype float16
  zoo export runs/book -o book.safetensors --quantize int8
  zoo export imdb-bilstm -o int8.safetensors --quantize int8 --data aclImdb/
  zoo export runs/imdb -o imdb.onnx
  zoo export old.safetensors -o new.safetensors
"""
)
@click.argument("run_or_file", shell_complete=completion.weights)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; its name ends in .safetensors, or as those of another format do.",
)
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    help="How weights are stored, by default as they are; 16 bits halve the file, and are refused "
    "where outputs change.",
)
@click.option("--storage", type=click.Choice(DTYPES), hidden=True, help="The name of 0.1.")
@click.option(
    "--quantize",
    type=click.Choice(["int8"]),
    help="Store matrices as 8-bit integers with a scale for each row, after measuring on held-out "
    "data what that costs. The data is that of a run, or --data.",
)
@options.data
@click.option(
    "--split", default="test", show_default=True, help="Part of the data that is measured on."
)
@click.option(
    "--allow-worse",
    is_flag=True,
    help="Write quantized weights even if loss (by 0.002) or accuracy (by 0.001) is worse.",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
def command(
    run_or_file: str,
    output: Path,
    dtype: str | None,
    storage: str | None,
    quantize: str | None,
    data: str,
    split: str,
    allow_worse: bool,
    force: bool,
) -> None:
    """Write the weights of a run as one self-describing file.

    RUN_OR_FILE is a run directory, a weights file or a recipe with weights, which is verified
    first. The end of the file's name chooses the format: a safetensors file, or one of `zoo list
    --exporters`, such as an ONNX graph, which is checked against torch before it is written. The
    file includes those results of `zoo evaluate` that were measured on these weights.
    """
    from zoo.api import export

    if storage:
        warn_deprecated("--storage", since="0.2", removed="1.0", use="--dtype")
    note = export(
        run_or_file,
        output,
        dtype=storage or dtype or "",
        quantize=quantize or "",
        data=data,
        split=split,
        allow_worse=allow_worse,
        overwrite=force,
    )
    click.echo(str(output))
    if note:
        click.echo(note, err=True)
