"""Options ``--no-NAME`` of ``zoo train``, for callbacks that it adds by default."""

from __future__ import annotations

from collections.abc import Set

import click

_WITHOUT = "zoo.cli.default_callbacks.without"


class TrainCommand(click.Command):
    """A command with an option ``--no-NAME`` for each callback that is added by default."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        from zoo.installed import default_callback_names

        params = super().get_params(ctx)
        taken = {option for param in params for option in param.opts}
        names = [name for name in default_callback_names() if f"--no-{name}" not in taken]
        return [*params, *map(_flag, names)]


def left_out(ctx: click.Context) -> Set[str]:
    """Return the names of the callbacks that the user left out."""
    return frozenset(ctx.meta.get(_WITHOUT, ()))


def _flag(name: str) -> click.Option:
    def leave_out(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        del param
        if value:
            ctx.meta[_WITHOUT] = left_out(ctx) | {name}

    return click.Option(
        [f"--no-{name}"], is_flag=True, expose_value=False, callback=leave_out,
        help=f"Leave out the callback {name!r}.",
    )  # fmt: skip
