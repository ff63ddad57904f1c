"""``zoo env``."""

from __future__ import annotations

import click

from zoo.cli import options
from zoo.cli.output import echo_columns, echo_json


@click.command(
    epilog="""\b
Examples:
  zoo env
  zoo env --json

For bug reports: paste what it prints.
"""
)
@options.as_json
def command(as_json: bool) -> None:
    """Print versions, backend, threads, processor, caches and plugins."""
    from zoo import __version__
    from zoo.environment import facts, set_up_process
    from zoo.files import cache_folder
    from zoo.installed import registry
    from zoo.recipes import default_path

    set_up_process()  # For as many threads as the other commands have.
    known = registry()
    document = {**known.environment(), "zoo": __version__, **facts()}
    document |= {"cache": str(cache_folder()), "recipe file": str(default_path())}
    names = [plugin.name for plugin in known.plugins]
    plugins = {
        plugin.name
        if names.count(plugin.name) == 1
        else f"{plugin.distribution}:{plugin.name}": f"{plugin}, FAILED: {plugin.error}"
        if plugin.error
        else str(plugin)
        for plugin in known.plugins
    }
    if as_json:
        echo_json({**document, "plugins": plugins})
        return
    rows = [*document.items(), *((f"plugin {name}", text) for name, text in plugins.items())]
    echo_columns(rows)
    click.echo("what plugins and files may do: docs/security.md; to report: SECURITY.md", err=True)
