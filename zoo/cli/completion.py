"""What the shell offers after TAB: names of the registry, and files."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the rows of the registry and every TASK/MODEL."""
    from zoo import catalog
    from zoo.config import names
    from zoo.registry import Registry

    known = sorted(names(Registry.installed(), catalog.read()))
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def weights(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the published runs, and files."""
    from zoo import catalog

    rows = sorted(catalog.read().runs.items())
    names = [name for name, row in rows if row.weights and name.startswith(incomplete)]
    return [*map(CompletionItem, names), CompletionItem(incomplete, type="file")]
