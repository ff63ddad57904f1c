"""Callbacks that ``zoo train`` adds by default, each with an option ``--no-NAME``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from zoo.interfaces import Callback

_WITHOUT = "zoo.cli.default_callbacks.without"


class TrainCommand(click.Command):
    """A command with an option ``--no-NAME`` for each callback that is added by default."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        taken = {option for param in params for option in param.opts}
        return [*params, *(_flag(name) for name in _names() if f"--no-{name}" not in taken)]


def default_callbacks(ctx: click.Context) -> list[Callback]:
    """Return the callbacks that are added by default, without those that the user left out.

    Raises:
        PluginError: One does not load.
    """
    from zoo.building import build_callback
    from zoo.installed import registry
    from zoo.records import CallbackInfo
    from zoo.spec import Component

    without = ctx.meta.get(_WITHOUT, ())
    found = [registry().get(CallbackInfo, name) for name in _names() if name not in without]
    return [build_callback(Component(info, info.options())) for info in found]


def _names() -> list[str]:
    from zoo.installed import registry
    from zoo.records import CallbackInfo

    found = registry().declarations(CallbackInfo)
    return [each.name for each in found if each.facts.get("default")]


def _flag(name: str) -> click.Option:
    def leave_out(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        del param
        if value:
            ctx.meta[_WITHOUT] = {*ctx.meta.get(_WITHOUT, ()), name}

    return click.Option(
        [f"--no-{name}"], is_flag=True, expose_value=False, callback=leave_out,
        help=f"Leave out the callback {name!r}.",
    )  # fmt: skip
