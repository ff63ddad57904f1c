"""Shell completion: names of recipes, tasks, models and files."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem


def recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the recipes and every TASK/MODEL."""
    from zoo.installed import registry
    from zoo.settings import names

    return _matching(names(registry()), incomplete)


def every_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer what ``zoo show`` shows: records of every kind and every TASK/MODEL."""
    from zoo.cli.kinds import KINDS
    from zoo.installed import registry
    from zoo.settings import names

    known = registry()
    records = [name for kind in KINDS.values() for name in known.names(kind)]
    return _matching([*names(known), *records], incomplete)


def weights(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the recipes with weights, and files."""
    from zoo.installed import registry
    from zoo.records import Recipe

    names = [recipe.name for recipe in registry().all(Recipe) if recipe.weights]
    return [*_matching(names, incomplete), CompletionItem(incomplete, type="file")]


def callbacks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the callbacks."""
    from zoo.installed import registry
    from zoo.records import CallbackInfo

    return _matching(registry().names(CallbackInfo), incomplete)


def metrics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the further metrics."""
    from zoo.installed import registry
    from zoo.records import MetricInfo

    return _matching(registry().names(MetricInfo), incomplete)


def _matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(set(names)) if name.startswith(incomplete)]
