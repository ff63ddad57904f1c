"""A page and an HTTP API for trained models: ``zoo serve``. Needs ``seqzoo[serve]``."""

from __future__ import annotations

from zoo import CommandInfo, hookimpl


@hookimpl
def zoo_commands() -> list[CommandInfo]:
    return [
        CommandInfo(
            name="serve",
            summary="Serve trained weights: a page to try them, and an HTTP API.",
            target="zoo_serve.command:command",
        )
    ]
