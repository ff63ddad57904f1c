"""What made an answer: ``zoo explain``."""

from __future__ import annotations

from zoo import CommandInfo, hookimpl


@hookimpl
def zoo_commands() -> list[CommandInfo]:
    return [
        CommandInfo(
            name="explain",
            summary="Show which words made an answer.",
            target="zoo_explain.command:command",
        )
    ]
