"""Diagnosis of models: how far gradients reach back in time."""

from __future__ import annotations

from zoo import CommandInfo, hookimpl


@hookimpl
def zoo_commands() -> list[CommandInfo]:
    return [
        CommandInfo(
            name="diagnose",
            summary="Look into models and trained networks.",
            target="zoo_diagnose.command:command",
        )
    ]
