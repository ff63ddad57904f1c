"""``zoo check``."""

from __future__ import annotations

from dataclasses import asdict

import click

from zoo.cli import completion, options
from zoo.cli.output import echo_json


@click.command(
    epilog="""\b
Examples:
  zoo check mgu
  zoo check my-task --data sample.csv
  zoo check --json

Exit code 3 where a check failed. The page Conformance of the documentation describes every check.
"""
)
@click.argument("name", default="", shell_complete=completion.every_name)
@options.data
@click.option(
    "--seconds", type=click.FloatRange(1, 86_400), default=300, show_default=True,
    help="How long all checks may take.",
)  # fmt: skip
@options.as_json
def command(name: str, data: str, seconds: float, as_json: bool) -> None:
    """Check what is promised of a model, a task or a plugin.

    NAME is a model, a task, or a plugin with all that it declares; without it everything that is
    installed is checked.
    """
    from zoo.api import check
    from zoo.errors import PluginError

    results = check(name, data=data, seconds=seconds)
    failed = [result for result in results if result.status == "failed"]
    if as_json:
        echo_json([{**asdict(result), "page": result.page} for result in results])
    else:
        for result in results:
            if result.status != "passed":
                click.echo(str(result))
        passed = sum(result.status == "passed" for result in results)
        left_out = sum(bool(result.needs) for result in results)
        skipped = len(results) - passed - len(failed) - left_out
        after = f", {left_out} left out after a failure" if left_out else ""
        click.echo(f"{passed} passed, {len(failed)} failed, {skipped} do not apply{after}")
    if failed:
        raise SystemExit(PluginError.exit_code)
